"""What an answer with tools may consist of, in each form: calls that are valid, and text where it may stand."""

from collections.abc import Iterable

import pytest
import torch

from adapter.output import JsonOutput
from adapter.tools import Tool
from handlers.detokenization import TokenDecoder
from handlers.grammars import Grammar, GrammarError, Grammars
from handlers.tool_formats import GENERIC, TOOL_FORMATS, ToolFormat
from handlers.tool_grammar import CallableTools
from tests.handlers.chat_families import byte_level, chat_tokenizer

CITY = {"properties": {"city": {"enum": ["Rome"]}}, "required": ["city"], "additionalProperties": False}
TOOLS = (Tool(name="weather", parameters=CITY), Tool(name="time"))
WEATHER, TIME = ("weather", '{"city":"Rome"}'), ("time", "{}")
END = "<|im_end|>"
MARKS = ("[TOOL_CALLS]", "[ARGS]", "<tool_call>", "<｜tool▁sep｜>")


def name_of(form: ToolFormat) -> str:
    return " ".join(form.signs)


FORMS = pytest.mark.parametrize("form", TOOL_FORMATS, ids=name_of)
WITH_TEXT = pytest.mark.parametrize("form", [form for form in TOOL_FORMATS if form.trigger], ids=name_of)


class Tokens:
    """Takes a text by a grammar, token for token. marks: which marks of calls are special tokens."""

    def __init__(self, marks: Iterable[str]) -> None:
        self._tokenizer = chat_tokenizer(byte_level(), "", [END, *marks], bos=END, eos=END)
        self._end = self._tokenizer.convert_tokens_to_ids(END)
        self._words = torch.empty(-(-len(self._tokenizer) // 32), dtype=torch.int32)
        self._grammars = Grammars(TokenDecoder(self._tokenizer), [self._end], len(self._tokenizer))

    def grammar(self, form: ToolFormat, *, is_required: bool = False, are_several: bool = True) -> Grammar:
        return self._grammars.constraint(CallableTools(form, TOOLS, is_required, are_several, None))

    def of(self, calls: CallableTools) -> Grammar:
        return self._grammars.constraint(calls)

    def take(self, grammar: Grammar, text: str) -> bool:
        """Whether it may be a whole answer."""
        tokens = self._tokenizer(text).input_ids
        for number, token in enumerate(tokens, start=1):
            if not self._is_allowed(grammar, token):
                return False
            if grammar.take(token):  # nothing may follow
                return number == len(tokens)
        return self._is_allowed(grammar, self._end)

    def _is_allowed(self, grammar: Grammar, token: int) -> bool:
        grammar.allowed(self._words)
        return bool(int(self._words[token // 32]) >> (token % 32) & 1)


@pytest.fixture(scope="module", params=[(), MARKS], ids=["marks in letters", "marks in special tokens"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    return Tokens(request.param)


@FORMS
def test_calls_that_are_valid_may_be_written(tokens: Tokens, form: ToolFormat) -> None:
    assert tokens.take(tokens.grammar(form), form.written([WEATHER]))
    assert tokens.take(tokens.grammar(form), form.written([WEATHER, TIME])) == (form.separator is not None)


@FORMS
def test_one_call_alone_may_be_asked_for(tokens: Tokens, form: ToolFormat) -> None:
    assert tokens.take(tokens.grammar(form, are_several=False), form.written([TIME]))
    assert not tokens.take(tokens.grammar(form, are_several=False), form.written([TIME, TIME]))


@FORMS
def test_a_text_may_be_written_unless_a_call_is_required(tokens: Tokens, form: ToolFormat) -> None:
    assert tokens.take(tokens.grammar(form), "Hello < there")
    assert tokens.take(tokens.grammar(form), "")
    assert not tokens.take(tokens.grammar(form, is_required=True), "Hello < there")


@WITH_TEXT
def test_calls_may_follow_a_text(tokens: Tokens, form: ToolFormat) -> None:
    assert tokens.take(tokens.grammar(form), "I look: " + form.written([TIME]))
    assert not tokens.take(tokens.grammar(form, is_required=True), "I look: " + form.written([TIME]))


@FORMS
@pytest.mark.parametrize(
    "call", [("weather", '{"city":"Oslo"}'), ("weather", "{}"), ("other", "{}"), ("time", "[]")], ids=str
)
def test_a_call_that_is_not_valid_cannot_be_written(tokens: Tokens, form: ToolFormat, call: tuple[str, str]) -> None:
    assert not tokens.take(tokens.grammar(form), form.written([call]))
    assert not tokens.take(tokens.grammar(form), form.written([TIME, call]))


def test_a_text_beside_tools_may_have_a_form_of_its_own(tokens: Tokens) -> None:
    def take(text: str) -> bool:
        output = JsonOutput(schema={"type": "boolean"})
        return tokens.take(
            tokens.of(CallableTools(GENERIC, TOOLS, is_required=False, are_several=True, output=output)), text
        )

    assert take("true")
    assert take(GENERIC.written([TIME]))
    assert not take("Hello")


def test_a_tool_whose_parameters_cannot_be_kept_is_refused_by_its_keyword(tokens: Tokens) -> None:
    tool = Tool(name="odd", parameters={"properties": {"a": {"type": "array", "uniqueItems": True}}})
    with pytest.raises(GrammarError, match="uniqueItems"):
        tokens.of(CallableTools(GENERIC, [tool], is_required=False, are_several=True, output=None))


def test_what_shows_only_within_the_arguments_of_a_tool_is_found_out_before_a_token(tokens: Tokens) -> None:
    many = Tool(name="many", parameters={"properties": {f"p{number}": {} for number in range(530)}})
    with pytest.raises(GrammarError, match="The tool 'many'"):
        tokens.of(CallableTools(GENERIC, [TOOLS[0], many], is_required=True, are_several=True, output=None))
