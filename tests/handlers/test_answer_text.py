"""Where the text of an answer begins and ends."""

from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from adapter.event_stream import EventDecoder
from adapter.schema import ChatMessage, DeltaEvent, DoneEvent, FinishReason, StartEvent, StreamEvent, WorkerRequest
from handlers.answer_text import AnswerText
from handlers.detokenization import TokenDecoder
from handlers.prompt_builder import Prompt
from tests.tokenizer_families import END, FAMILIES, TURN_BEGIN, TURN_END, make_tokenizer

START = StartEvent(id="a", model="m", model_version="1.0", model_digest="1f", prompt_tokens=3)


def ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def make(tokenizer: PreTrainedTokenizerBase, prompt: str = "p", **request: Any) -> AnswerText:
    wanted = WorkerRequest(id="a", prompt=prompt, **request)
    return AnswerText(START, wanted, TokenDecoder(tokenizer), Prompt(ids(tokenizer, prompt)))


def take_answer(generation: AnswerText, tokens: list[int], end: FinishReason | None = None) -> tuple[str, str, int]:
    """Its text, which is the sum of its deltas too, its end and its number of tokens."""
    for token_id in tokens[:-1]:
        generation.push([token_id], None)
    generation.push(tokens[-1:], end)
    events: list[StreamEvent] = []
    is_last = False
    while not is_last:
        encoded, is_last = generation.take()
        events += EventDecoder().feed(encoded)
    done = events[-1]
    assert isinstance(done, DoneEvent)
    assert "".join(event.text for event in events if isinstance(event, DeltaEvent)) == done.response.text
    return done.response.text, done.response.finish_reason, done.response.tokens_generated


@pytest.mark.parametrize("family", FAMILIES)
def test_answer_stops_at_a_special_token_that_is_a_stop_string(family: str) -> None:
    chatml = make_tokenizer(family)
    before = ids(chatml, "Once upon a")
    tokens = [*before, *ids(chatml, TURN_END), *ids(chatml, "the")]

    assert take_answer(make(chatml, stop=[TURN_END]), tokens) == (
        take_answer(make(chatml), before, "length")[0],
        "stop_sequence",
        len(before) + len(ids(chatml, TURN_END)),
    )


STOPS: list[tuple[list[str], str, str, str]] = [
    ([TURN_END], f"a b{TURN_BEGIN}c{TURN_END}d", "a bc", "stop_sequence"),
    ([f"{TURN_END}\n"], f"a{TURN_END}b{TURN_END}\nc", "ab", "stop_sequence"),
    ([f"\n{TURN_BEGIN}user"], f"a\n{TURN_BEGIN}system\n{TURN_BEGIN}user b", "a\nsystem", "stop_sequence"),
    ([f"{TURN_END}\n{TURN_BEGIN}"], f"a{TURN_END}\n", "a\n", "length"),
    (["im_end", "end"], f"a{TURN_END}b", "ab", "length"),
    (["ab"], f"xa{TURN_END}b", "x", "stop_sequence"),
    (["b\n\n", TURN_END], f"ab\n{TURN_END}", "ab\n", "stop_sequence"),
    (["<think>"], "a<think>b", "a", "stop_sequence"),
]


@pytest.mark.parametrize(
    ("stop", "answer", "text", "end"),
    STOPS,
    ids=[
        "a special token alone, after another one",
        "with text behind it",
        "with text on both sides",
        "of which not all comes",
        "that is a part of a special token",
        "in which no special token is",
        "beside one that begins before it",
        "an added token that answers show",
    ],
)
def test_stop_string_ends_the_answer_wherever_its_special_tokens_are(
    stop: list[str], answer: str, text: str, end: str
) -> None:
    chatml = make_tokenizer("byte_level")

    assert take_answer(make(chatml, stop=stop), ids(chatml, answer), "length")[:2] == (text, end)


def test_special_token_that_is_spelled_in_ordinary_tokens_stops_too() -> None:
    chatml = make_tokenizer("byte_level")
    spelled = [token_id for letter in f"a{TURN_END}b" for token_id in ids(chatml, letter)]
    assert ids(chatml, TURN_END)[0] not in spelled

    assert take_answer(make(chatml, stop=[TURN_END]), spelled)[:2] == ("a", "stop_sequence")


def test_end_of_the_model_is_a_stop_string_where_the_request_names_it() -> None:
    chatml = make_tokenizer("byte_level")
    tokens = ids(chatml, f"a\n{END}")

    assert take_answer(make(chatml, stop=[f"\n{END}"]), tokens, "stop") == ("a", "stop_sequence", len(tokens))
    assert take_answer(make(chatml), tokens, "stop") == ("a\n", "stop", len(tokens))


def test_character_that_a_stop_token_breaks_off_comes_before_the_end() -> None:
    chatml = make_tokenizer("byte_level")

    tokens = [ids(chatml, "世")[0], *ids(chatml, TURN_END)]
    assert take_answer(make(chatml, stop=[TURN_END]), tokens)[:2] == ("\ufffd", "stop_sequence")


def test_answer_goes_on_from_the_prompt_and_a_chat_begins_anew() -> None:
    llama2 = make_tokenizer("llama2")
    time = ids(llama2, "time")
    chat = ChatMessage(role="user", content="Once upon a")

    assert take_answer(make(llama2, prompt="Once upon a"), time, "length")[0] == " time"
    assert take_answer(make(llama2, messages=[chat]), time, "length")[0] == "time"
