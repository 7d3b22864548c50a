import math

import pytest

from adapter.schema import ErrorCode
from adapter.timeline import Attempt, Timeline
from tests.held_clock import HeldClock


def parts(attempt: Attempt) -> dict[str, tuple[float, float | None]]:
    return {part.name: (part.begin, part.end) for part in attempt.parts()}


def run(clock: HeldClock, *, prefill: float = 2, generation: float = 5) -> Attempt:
    """Three seconds in the queue; the first text is seen after four more, and all after six."""
    with Timeline().attempt() as attempt:
        clock.move(3)
        attempt.note_start()
        clock.move(4)
        attempt.note_text()
        clock.move(2)
        attempt.note_worker_times(prefill, generation)
    return attempt


def test_an_attempts_parts_are_what_the_worker_says(clock: HeldClock) -> None:
    begin = clock()
    assert parts(run(clock)) == {
        "queue": (begin, begin + 3),
        "prefill": (begin + 3, begin + 5),
        "decode": (begin + 5, begin + 8),
    }


@pytest.mark.parametrize(("prefill", "generation"), [(-1, 5), (5, 2), (math.nan, math.nan), (2, math.nan)], ids=str)
def test_times_that_make_no_sense_give_way_to_those_of_the_events(
    clock: HeldClock, prefill: float, generation: float
) -> None:
    begin = clock()
    attempt = run(clock, prefill=prefill, generation=generation)
    assert parts(attempt)["prefill"] == (begin + 3, begin + 7)
    assert parts(attempt)["decode"] == (begin + 7, begin + 9)


def test_no_part_ends_after_the_attempt(clock: HeldClock) -> None:
    begin = clock()
    attempt = run(clock, prefill=100, generation=math.inf)
    assert parts(attempt)["prefill"] == (begin + 3, begin + 9)
    assert parts(attempt)["decode"] == (begin + 9, begin + 9)


def test_what_failed_in_the_queue_has_no_other_part(clock: HeldClock) -> None:
    begin = clock()
    attempt = Timeline().attempt()
    clock.move(3)
    attempt.__exit__(LookupError, LookupError(), None)
    assert parts(attempt) == {"queue": (begin, begin + 3)}
    assert attempt.failure is ErrorCode.INTERNAL


def test_an_attempt_that_goes_on_has_a_part_without_end(clock: HeldClock) -> None:
    begin, attempt = clock(), Timeline().attempt()
    clock.move(3)
    attempt.note_start()
    clock.move(1)
    attempt.note_text()
    assert parts(attempt) == {
        "queue": (begin, begin + 3),
        "prefill": (begin + 3, begin + 4),
        "decode": (begin + 4, None),
    }
