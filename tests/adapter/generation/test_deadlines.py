import asyncio
import time

import pytest

from adapter.errors import (
    DeadlineExceeded,
    GenerationFailed,
)
from adapter.generation.text_generator import TextGenerator
from adapter.schema import DeltaEvent
from tests.adapter.generation.generators import FIRST, REQUEST, START, call, make_generator, wait_for_ever
from tests.fakes import FakeInference, FakeManagement, wait_for


async def test_a_request_whose_deadline_comes_in_the_line_never_reaches_the_worker(
    management: FakeManagement, inference: FakeInference
) -> None:
    management.slots = 1
    generator = make_generator(management, inference)
    inference.script = [wait_for_ever]
    running = asyncio.create_task(generator.complete(REQUEST, call()))
    await wait_for(lambda: inference.requests)
    with pytest.raises(DeadlineExceeded, match=r"not complete within 0\.05 seconds"):
        await generator.complete(REQUEST, call(deadline=0.05))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(inference.requests) == 1


async def test_a_deadline_stops_a_running_request(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    with pytest.raises(DeadlineExceeded):
        await generator.complete(REQUEST, call(deadline=0.05))
    assert inference.is_closed.is_set()


async def test_without_a_first_text_in_time_a_request_ends(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, wait_for_ever]
    with pytest.raises(DeadlineExceeded, match="no text within"):
        await generator.complete(REQUEST, call(first_text_deadline=0.05, deadline=60))


async def test_the_limit_of_the_first_text_does_not_hold_for_the_others(
    generator: TextGenerator, inference: FakeInference
) -> None:
    limits = call(first_text_deadline=0.05, deadline=60)

    async def wait_past_the_first_limit() -> None:
        await asyncio.sleep(limits.first_text_deadline - time.monotonic() + 0.01)

    inference.script = [START, FIRST, wait_past_the_first_limit, GenerationFailed("reached")]
    with pytest.raises(GenerationFailed):
        await generator.complete(REQUEST, limits)


async def test_a_deadline_holds_for_who_takes_events_more_slowly_than_they_come(
    generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [START, *[DeltaEvent(index=index, text="x") for index in range(1_000)]]
    limits = call(deadline=0.05)
    arrivals = generator.stream(REQUEST, limits)
    await anext(arrivals)
    await asyncio.sleep(limits.deadline - time.monotonic() + 0.01)
    with pytest.raises(DeadlineExceeded):
        await anext(arrivals)
    assert inference.is_closed.is_set()
