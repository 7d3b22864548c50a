"""Functions as the Responses API offers and chooses them: flat."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from adapter.errors import InvalidRequest
from adapter.openai.lenient import Lenient
from adapter.openai.tools import ChosenTool, NamedFunction, OfferedFunction, OfferedTool, tool_fields
from adapter.schema import FieldError

Json = dict[str, Any]


class FunctionTool(Lenient):
    """Its parameters are kept whatever `strict` says."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    strict: bool = True


class ChosenFunction(Lenient):
    type: Literal["function"]
    name: str


class AllowedTools(Lenient):
    """These tools alone may be called."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[ChosenFunction]


ToolChoice = Literal["none", "auto", "required"] | Annotated[ChosenFunction | AllowedTools, Field(discriminator="type")]


def chosen_tools(tools: Sequence[FunctionTool], choice: ToolChoice, *, is_parallel: bool) -> Json:
    """The fields of our own chat request. Raises InvalidRequest if a tool is chosen that is not there."""
    match choice:
        case ChosenFunction(name=name):
            chosen = ChosenTool(type="function", function=NamedFunction(name=name))
            return tool_fields(_offered(tools), chosen, is_parallel=is_parallel)
        case AllowedTools(mode=mode):
            return tool_fields(_offered(_allowed(tools, choice)), mode, is_parallel=is_parallel)
    return tool_fields(_offered(tools), choice, is_parallel=is_parallel)


def _allowed(tools: Sequence[FunctionTool], choice: AllowedTools) -> list[FunctionTool]:
    allowed = {each.name for each in choice.tools}
    if unknown := sorted(allowed - {tool.name for tool in tools}):
        detail = f"there is no tool {unknown[0]!r:.80}"
        raise InvalidRequest(f"tool_choice: {detail}.", errors=(FieldError(field="tool_choice", message=detail),))
    return [tool for tool in tools if tool.name in allowed]


def _offered(tools: Sequence[FunctionTool]) -> list[OfferedTool]:
    return [
        OfferedTool(
            type="function",
            function=OfferedFunction(name=tool.name, description=tool.description or "", parameters=tool.parameters),
        )
        for tool in tools
    ]
