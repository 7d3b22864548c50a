"""Calls of functions are told from an answer's text wherever its pieces are cut, in each form."""

from collections.abc import Iterable, Iterator

import pytest

from handlers.tool_calls import ToolCallReader, joined
from handlers.tool_formats import GENERIC, TOOL_FORMATS, ToolFormat

NAMES = ["say", "time"]
HARD = '{"text":"} \\"\\\\\\" {","of":{"a":[1,{}]}}'


def name_of(form: ToolFormat) -> str:
    return " ".join(form.signs)


FORMS = pytest.mark.parametrize("form", TOOL_FORMATS, ids=name_of)


def cuts(text: str) -> Iterator[list[str]]:
    """In two at every position, and into single characters."""
    for position in range(len(text) + 1):
        yield [text[:position], text[position:]]
    yield list(text)


def read(
    form: ToolFormat, pieces: Iterable[str]
) -> tuple[str, list[tuple[str, str]], list[tuple[int, str | None, str]]]:
    """The text, the calls, and what was told of them piece by piece."""
    reader = ToolCallReader(form, NAMES)
    text, deltas = "", []
    for piece in pieces:
        more = reader.push(piece)
        text += more.text
        deltas += more.deltas
    text += reader.flush()
    told = [(delta.index, delta.name, delta.arguments) for delta in joined(deltas)]
    return text, [(call.name, call.arguments) for call in reader.calls], told


@FORMS
def test_a_call_is_read_wherever_the_text_is_cut(form: ToolFormat) -> None:
    for pieces in cuts(form.written([("say", HARD)])):
        assert read(form, pieces) == ("", [("say", HARD)], [(0, "say", HARD)])


@pytest.mark.parametrize("form", [form for form in TOOL_FORMATS if form.separator is not None], ids=name_of)
def test_several_calls_are_told_in_their_order(form: ToolFormat) -> None:
    calls = [("say", HARD), ("time", "{}"), ("say", '{"text":""}')]
    for pieces in cuts(form.written(calls)):
        _, found, told = read(form, pieces)
        assert found == calls
        assert told == [(index, name, arguments) for index, (name, arguments) in enumerate(calls)]


@pytest.mark.parametrize("form", [form for form in TOOL_FORMATS if form.trigger], ids=name_of)
def test_a_text_before_calls_is_given(form: ToolFormat) -> None:
    for pieces in cuts("I look: < [" + form.written([("time", "{}")])):
        assert read(form, pieces)[:2] == ("I look: < [", [("time", "{}")])


@FORMS
def test_a_text_without_calls_is_given_whole(form: ToolFormat) -> None:
    for text in ("", "Hello <tool", "a < b", "[TOOL", "x{"):
        for pieces in cuts(text):
            assert read(form, pieces) == (text, [], [])


def test_a_call_that_is_cut_short_tells_what_is_there() -> None:
    written = GENERIC.written([("say", HARD)])
    name, inside = written.index("say"), written.index(HARD)

    assert read(GENERIC, [written[: name + 2]]) == ("", [], [])
    assert read(GENERIC, [written[: inside + 7]])[1] == [("say", HARD[:7])]


def test_marks_that_a_model_spells_in_its_text_begin_no_call() -> None:
    text = "about <tool_call> we say <tool_call> twice"
    assert read(GENERIC, [text])[0] == text


def test_a_special_token_that_is_spelled_in_words_is_a_text() -> None:
    form = next(form for form in TOOL_FORMATS if "[ARGS]" in form.signs)
    reader = ToolCallReader(form, NAMES, special_tokens=["[TOOL_CALLS]", "[ARGS]", "</s>"])
    call, arguments = reader.placeholder_of("[TOOL_CALLS]"), reader.placeholder_of("[ARGS]")

    assert reader.placeholder_of("</s>") == ""
    assert reader.push("The mark [TOOL_CALLS] begins").text == "The mark [TOOL_CALLS] begins"
    assert [delta.name for delta in reader.push(f"{call}say{arguments}{{}}").deltas] == ["say", None]


def test_json_that_begins_as_a_call_is_a_text_all_the_same() -> None:
    llama = next(form for form in TOOL_FORMATS if not form.trigger)
    for pieces in cuts('{"name": "Bob", "age": 3}'):
        assert read(llama, pieces)[:2] == ('{"name": "Bob", "age": 3}', [])


def test_half_a_mark_is_no_text_where_calls_are_required() -> None:
    reader = ToolCallReader(GENERIC, NAMES, is_required=True)
    assert reader.push("<tool_").text + reader.flush() == ""


def test_each_call_has_an_id_of_its_own_that_every_template_takes() -> None:
    reader = ToolCallReader(GENERIC, ["a"])
    reader.push(GENERIC.written([("a", "{}"), ("a", "{}")]))
    first, second = (call.id for call in reader.calls)

    assert first != second
    assert all(len(each) == 9 and each.isalnum() for each in (first, second))
