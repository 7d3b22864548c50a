"""What a version's part of an attempt is: on a clock that only what a test says moves on."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import pytest

from adapter.errors import WorkerDied
from adapter.generation import timed_attempt as module
from adapter.generation.timed_attempt import Duration, TimedAttempt
from adapter.schema import DeltaEvent, DoneEvent, StreamEvent
from tests.adapter.generation.held_generations import ANSWER
from tests.adapter.versions.fake_server import Clock

START, FIRST, SECOND, THIRD, DONE = ANSWER  # of three tokens
Step = float | list[StreamEvent] | Exception


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


async def version(clock: Clock, *steps: Step) -> AsyncGenerator[list[StreamEvent], None]:
    """A number is how long it takes for the next step."""
    for step in steps:
        if isinstance(step, Exception):
            raise step
        if isinstance(step, list):
            yield list(step)
        else:
            clock.sleep(step)


def new_attempt(max_tokens: int = 5) -> TimedAttempt:
    return TimedAttempt(max_tokens, lambda _: None)


async def take(attempt: TimedAttempt, clock: Clock, *steps: Step) -> None:
    async for _ in attempt.take(version(clock, *steps)):
        pass


def test_before_a_version_has_it_nothing_has_happened(clock: Clock) -> None:
    attempt = new_attempt()
    clock.sleep(10)
    assert (attempt.has_begun, attempt.waited, attempt.first_token) == (False, 0, Duration(0, is_whole=False))


async def test_whoever_wants_to_know_hears_of_its_beginning_first(clock: Clock) -> None:
    heard: list[tuple[TimedAttempt, bool]] = []
    attempt = TimedAttempt(5, lambda begun: heard.append((begun, begun.is_over)))
    await take(attempt, clock, *ANSWER)
    assert heard == [(attempt, False)]


async def test_an_answer_has_a_time_to_its_first_token_and_one_for_each_other(clock: Clock) -> None:
    attempt = new_attempt()
    await take(attempt, clock, 1.0, START, 2.0, FIRST, 4.0, SECOND, 4.0, THIRD, 2.0, DONE)
    assert attempt.first_token == Duration(3.0, is_whole=True)
    assert attempt.per_token == Duration(5.0, is_whole=True)
    assert (attempt.is_over, attempt.has_failed) == (True, False)


async def test_a_caller_that_is_slow_to_read_makes_no_version_slower(clock: Clock) -> None:
    attempt = new_attempt()
    async for _ in attempt.take(version(clock, 1.0, START, FIRST, 2.0, SECOND, THIRD, 2.0, DONE)):
        clock.sleep(100)
    assert (attempt.first_token.seconds, attempt.per_token.seconds) == (1.0, 2.0)


async def test_what_runs_has_taken_that_long_at_least(clock: Clock) -> None:
    attempt = new_attempt(max_tokens=5)
    seen: list[tuple[Duration, Duration]] = []

    def look() -> None:
        seen.append((attempt.first_token, attempt.per_token))

    clock.after(3.0, look)
    clock.after(11.0, look)
    await take(attempt, clock, 3.0, START, FIRST, 8.0, DONE)
    assert seen == [
        (Duration(3.0, is_whole=False), Duration(0.0, is_whole=False)),
        # At most four tokens follow the first one.
        (Duration(3.0, is_whole=True), Duration(2.0, is_whole=False)),
    ]


async def test_who_is_cut_short_has_not_failed(clock: Clock) -> None:
    attempt = new_attempt()
    async with aclosing(attempt.take(version(clock, 1.0, START, 2.0, FIRST, 9.0, DONE))) as arrivals:
        await anext(arrivals)
        assert not attempt.is_over
    assert (attempt.is_over, attempt.has_failed, attempt.first_token) == (True, False, Duration(1.0, is_whole=False))


@pytest.mark.parametrize("end", [(WorkerDied("died"),), ()], ids=["an error", "no last event"])
async def test_who_ends_without_an_answer_has_failed(clock: Clock, end: tuple[Exception, ...]) -> None:
    attempt = new_attempt()
    with suppress(WorkerDied):
        await take(attempt, clock, START, 1.0, FIRST, *end)
    assert (attempt.is_over, attempt.has_failed) == (True, True)
    assert attempt.first_token == Duration(1.0, is_whole=True)
    assert not attempt.per_token.is_whole


@pytest.mark.parametrize("num_tokens", [0, 1])
async def test_an_answer_of_one_token_has_no_time_per_token(clock: Clock, num_tokens: int) -> None:
    response = DONE[0].response.model_copy(update={"tokens_generated": num_tokens})
    attempt = new_attempt()
    await take(attempt, clock, START, [DeltaEvent(index=0, text="x")], 5.0, [DoneEvent(response=response)])
    assert attempt.per_token == Duration(0.0, is_whole=False)


async def test_an_answer_without_text_has_its_first_token_at_its_end(clock: Clock) -> None:
    attempt = new_attempt()
    await take(attempt, clock, START, 5.0, DONE)
    assert (attempt.first_token, attempt.per_token) == (Duration(5.0, is_whole=True), Duration(0.0, is_whole=False))
