import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from adapter.event_stream import EventDecoder
from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    ErrorCode,
    GenerationResponse,
    Problem,
    StartEvent,
    StreamEvent,
    WorkerRequest,
)
from handlers.answer_text import AnswerText
from handlers.detokenization import TokenDecoder
from handlers.generation import Generation
from handlers.prompt_builder import Prompt

START = StartEvent(id="a", model="tiny", model_version="1.0", model_digest="1f", prompt_tokens=3)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(Path(__file__).parents[2] / "models" / "tiny")


def ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def make(tokenizer: PreTrainedTokenizerBase, **request: Any) -> AnswerText:
    return AnswerText(START, WorkerRequest(id="a", prompt="p", **request), TokenDecoder(tokenizer), Prompt([]))


def take_events(generation: Generation) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    is_last = False
    while not is_last:
        answer, is_last = generation.take()
        events += EventDecoder().feed(answer)
    return events


def response(generation: Generation) -> GenerationResponse:
    done = take_events(generation)[-1]
    assert isinstance(done, DoneEvent)
    return done.response


def test_start_is_alone_in_the_first_answer_even_when_all_is_ready(tokenizer: PreTrainedTokenizerBase) -> None:
    generation = make(tokenizer)
    generation.push(ids(tokenizer, "hello"), "length")
    first, is_last = generation.take()

    assert (list(EventDecoder().feed(first)), is_last) == ([START], False)
    assert [event.type for event in take_events(generation)] == ["delta", "done"]


def test_answer_without_news_is_empty(tokenizer: PreTrainedTokenizerBase) -> None:
    generation = make(tokenizer)
    generation.take()

    assert generation.take() == (b"", False)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        # Not time.monotonic itself: in another thread an event loop may wait by it, and would sleep for hours.
        for module in ("handlers.generation", "handlers.answer_text"):
            monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: self.now))


def texts(answer: tuple[bytes, bool]) -> list[str]:
    return [event.text for event in EventDecoder().feed(answer[0]) if isinstance(event, DeltaEvent)]


@pytest.mark.parametrize(("stream", "longest"), [(True, 0.02), (False, 0.25)], ids=["read", "not read before its end"])
def test_text_comes_together_for_a_while_after_the_first(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch, *, stream: bool, longest: float
) -> None:
    clock = Clock(monkeypatch)
    generation = make(tokenizer, stream=stream)
    generation.take()
    given = []
    for text in ("one", " two", " three"):
        generation.push(ids(tokenizer, text), None)
        given.append(texts(generation.take()))
    assert not generation.is_due
    clock.now += (patience := generation.patience(clock.now))

    assert given == [["one"], [], []]
    assert patience == pytest.approx(longest)
    assert texts(generation.take()) == [" two three"]


@pytest.mark.parametrize(
    ("stream", "count", "longest"),
    [(True, 6, 0.02), (True, 16, 0.048), (True, 64, 0.1), (False, 64, 0.25)],
    ids=["few", "some", "many", "not read before its end"],
)
def test_text_comes_together_for_longer_while_many_answers_are_written(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch, *, stream: bool, count: int, longest: float
) -> None:
    clock = Clock(monkeypatch)
    generation = make(tokenizer, stream=stream)
    generation.take()
    generation.push(ids(tokenizer, "one"), None)
    generation.write_among(count)
    generation.take()

    assert generation.patience(clock.now) == pytest.approx(longest)
    generation.write_among(1)
    assert generation.patience(clock.now) == pytest.approx(0.02 if stream else 0.25)


def test_end_brings_all_text_that_was_held_together(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)  # stands still
    generation = make(tokenizer, stream=False)
    generation.take()
    generation.push(ids(tokenizer, "one"), None)
    generation.take()
    generation.push(ids(tokenizer, " two"), "length")

    assert generation.is_due
    assert [event.type for event in take_events(generation)] == ["delta", "done"]


def test_start_is_due(tokenizer: PreTrainedTokenizerBase) -> None:
    assert make(tokenizer).is_due


def test_answer_without_a_token_waits_for_what_is_urgent(tokenizer: PreTrainedTokenizerBase) -> None:
    generation = make(tokenizer)
    generation.take()

    assert not generation.is_due
    assert generation.patience(0.0) == math.inf


def test_first_text_does_not_wait_for_a_second(tokenizer: PreTrainedTokenizerBase) -> None:
    generation = make(tokenizer)
    generation.push(ids(tokenizer, "one"), None)
    generation.take()

    assert generation.is_due


def test_stop_token_is_counted_and_has_no_text(tokenizer: PreTrainedTokenizerBase) -> None:
    hello = ids(tokenizer, "hello")
    generation = make(tokenizer)
    generation.push([*hello, *ids(tokenizer, "!")], "stop")
    answer = response(generation)

    assert (answer.text, answer.tokens_generated, answer.finish_reason) == ("hello", len(hello) + 1, "stop")


def test_tokens_after_a_stop_string_are_neither_counted_nor_given(tokenizer: PreTrainedTokenizerBase) -> None:
    before = ids(tokenizer, "one two")
    generation = make(tokenizer, stop=["two"])
    for token_id in before + ids(tokenizer, " three four"):
        generation.push([token_id], None)
    answer = response(generation)

    assert (answer.text, answer.tokens_generated, answer.finish_reason) == ("one ", len(before), "stop_sequence")


def test_text_that_was_held_back_for_a_stop_string_comes_at_the_end(tokenizer: PreTrainedTokenizerBase) -> None:
    generation = make(tokenizer, stop=["two three"])
    generation.push(ids(tokenizer, "one two"), "length")

    assert response(generation).text == "one two"


def test_unfinished_character_comes_at_the_end(tokenizer: PreTrainedTokenizerBase) -> None:
    generation = make(tokenizer)
    generation.push(ids(tokenizer, "😀")[:1], "length")

    assert response(generation).text == "\ufffd"


def test_failure_after_the_end_changes_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    generation = make(tokenizer)
    generation.push(ids(tokenizer, "hello"), "length")
    generation.fail(Problem.of(ErrorCode.GENERATION_FAILED, "too late"))

    assert [event.type for event in take_events(generation)] == ["start", "delta", "done"]
