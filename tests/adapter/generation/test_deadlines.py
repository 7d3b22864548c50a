import asyncio
from functools import partial

import pytest

from adapter.errors import (
    DeadlineExceeded,
    GenerationFailed,
)
from adapter.generation.text_generator import TextGenerator
from adapter.schema import DeltaEvent
from tests.adapter.generation.generators import FIRST, REQUEST, START, call, make_generator, wait_for_ever
from tests.fakes import FakeInference, FakeManagement, wait_for
from tests.held_clock import HeldClock

TOO_LATE = GenerationFailed("past the deadline")


async def test_a_request_whose_deadline_comes_in_the_line_never_reaches_the_worker(
    clock: HeldClock, management: FakeManagement, inference: FakeInference
) -> None:
    management.slots = 1
    generator = make_generator(management, inference)
    inference.script = [wait_for_ever]
    running = asyncio.create_task(generator.complete(REQUEST, call()))
    await wait_for(lambda: inference.requests)
    waiting = asyncio.create_task(generator.complete(REQUEST, call(deadline=10)))
    await wait_for(lambda: b"torchbridge_waiting_requests 1.0" in generator.metrics.render())
    await clock.pass_by(10)
    await wait_for(waiting.done)
    with pytest.raises(DeadlineExceeded, match="not complete within 10 seconds"):
        await waiting
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(inference.requests) == 1


async def test_a_deadline_stops_a_running_request(
    clock: HeldClock, generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, partial(clock.pass_by, 10), TOO_LATE]
    with pytest.raises(DeadlineExceeded):
        await generator.complete(REQUEST, call(deadline=10))
    assert inference.is_closed.is_set()


async def test_without_a_first_text_in_time_a_request_ends(
    clock: HeldClock, generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [START, partial(clock.pass_by, 10), TOO_LATE]
    with pytest.raises(DeadlineExceeded, match="no text within 10 seconds"):
        await generator.complete(REQUEST, call(first_text_deadline=10, deadline=60))


async def test_the_limit_of_the_first_text_does_not_hold_for_the_others(
    clock: HeldClock, generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, partial(clock.pass_by, 20), TOO_LATE]
    with pytest.raises(GenerationFailed, match="past the deadline"):
        await generator.complete(REQUEST, call(first_text_deadline=10, deadline=60))


async def test_a_deadline_holds_for_who_takes_events_more_slowly_than_they_come(
    clock: HeldClock, generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [START, *[DeltaEvent(index=index, text="x") for index in range(1_000)]]
    arrivals = generator.stream(REQUEST, call(deadline=10))
    await anext(arrivals)
    clock.move(10)
    with pytest.raises(DeadlineExceeded):
        await anext(arrivals)
    assert inference.is_closed.is_set()
