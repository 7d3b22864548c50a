"""A chat template in a sandbox, within limits on its work and on the memory that it fills.

Templates come with models. transformers' sandbox keeps them from the machine, but lets them loop for ever and write
without end, and a thread that does so cannot be ended. What they may use is exactly what transformers gives them
(utils/chat_template_utils.py, _cached_compile_jinja_template).
"""

from collections.abc import Callable, Iterator
from functools import reduce, wraps
from operator import add
from typing import Any, TypeVar

from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from transformers.utils.chat_template_utils import _compile_jinja_template

from handlers.template_limits import TemplateLimitError, check_operands, check_size, size_of

# A loop's turn, a call, an operation and 100 characters of what it gives count as one: about a second in all. The
# templates of known models need less than 50 for each message.
MOST_WORK = 500_000
_CHARACTERS_OF_WORK = 100
# They make much of little, or bytes, and no chat template needs them.
_UNSAFE_METHODS = frozenset({"encode", "expandtabs", "to_bytes", "translate"})

_Value = TypeVar("_Value")


class BoundedTemplate:
    """A chat template that can be rendered by one thread at a time. `literals`: all text that it holds, by NULs."""

    def __init__(self, source: str) -> None:
        """Raises jinja2.TemplateSyntaxError."""
        self._environment = _BoundedEnvironment()
        tree = self._environment.parse(source)
        self.literals = "\0".join(_literals(tree))
        self._template = self._environment.from_string(_CountedNodes().visit(tree))

    def render(self, **variables: Any) -> str:
        """Raises TemplateLimitError, or what the template's own expressions raise."""
        self._environment.work_left = MOST_WORK
        pieces, num_characters = [], 0
        for piece in self._template.generate(variables):
            num_characters += len(piece)
            check_size(num_characters)
            pieces.append(piece)
        return "".join(pieces)


class _BoundedEnvironment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        theirs = _compile_jinja_template("").environment
        super().__init__(
            trim_blocks=theirs.trim_blocks,
            lstrip_blocks=theirs.lstrip_blocks,
            extensions=[type(extension) for extension in theirs.extensions.values()],
            finalize=self._counted,
        )
        self.work_left = MOST_WORK  # for the constant expressions, which are computed before any render
        self.globals = {name: value for name, value in theirs.globals.items() if name != "lipsum"}
        self.filters = {name: self._bounded(name, function) for name, function in theirs.filters.items()}

    def count_turn(self, num_characters: int) -> None:
        """Counts a turn of a loop with `num_characters` of text in its body."""
        self._spend(num_characters)

    def concatenate(self, *values: Any) -> str:
        """Jinja's `~`."""
        return reduce(add, map(str, values))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if getattr(obj, "__func__", None) is _BoundedEnvironment.count_turn:
            return obj(*args)
        method = getattr(obj, "__wrapped__", obj)  # what the sandbox makes of str.format
        name, owner = getattr(method, "__name__", ""), getattr(method, "__self__", None)
        args = _at_hand(name, args)
        check_operands(name, [*([owner] if isinstance(owner, str) else []), *args, *kwargs.values()])
        return self._counted(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator != "+":  # which makes nothing larger than its operands are together
            operands = [left, *right] if operator == "%" and isinstance(right, tuple) else [left, right]
            check_operands(operator, operands)
        return self._counted(super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and attr not in _UNSAFE_METHODS

    def _bounded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        num_contexts = 1 if hasattr(function, "jinja_pass_arg") else 0  # which Jinja itself puts before the others

        @wraps(function)
        def bounded(*args: Any, **kwargs: Any) -> Any:
            context, operands = args[:num_contexts], _at_hand(name, args[num_contexts:])
            check_operands(name, [*operands, *kwargs.values()])
            return self._counted(function(*context, *operands, **kwargs))

        return bounded

    def _counted(self, result: _Value) -> _Value:
        self._spend(size_of(result))
        return result

    def _spend(self, num_characters: int) -> None:
        check_size(num_characters)
        self.work_left -= 1 + num_characters // _CHARACTERS_OF_WORK
        if self.work_left < 0:
            raise TemplateLimitError("it takes too many steps")


class _CountedNodes(NodeTransformer):
    """Lets the environment see what Jinja compiles to plain Python: a loop's turn, and `~`."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - named after the node's class
        num_characters = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
        self.generic_visit(node)
        turn = _call_of_environment("count_turn", [nodes.Const(num_characters)])
        node.body.insert(0, nodes.ExprStmt(turn).set_lineno(node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:  # noqa: N802
        self.generic_visit(node)
        return _call_of_environment("concatenate", node.nodes)


def _literals(tree: nodes.Template) -> Iterator[str]:
    yield from (text.data for text in tree.find_all(nodes.TemplateData))
    yield from (constant.value for constant in tree.find_all(nodes.Const) if isinstance(constant.value, str))


def _call_of_environment(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)


def _at_hand(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Takes all from join()'s iterator now, so that it can be looked at before."""
    if name != "join":
        return arguments
    return tuple(list(each) if isinstance(each, Iterator) else each for each in arguments)
