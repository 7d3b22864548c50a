import asyncio
from contextlib import aclosing

import pytest

from adapter.errors import Internal
from adapter.generation.side_by_side import stream_all
from adapter.generation.text_generator import TextGenerator
from adapter.schema import DoneEvent
from tests.adapter.generation.generators import FIRST, REQUEST, START, call, take_all
from tests.fakes import FakeInference


async def test_whatever_is_cancelled_within_one_of_them_ends_them_all(
    generator: TextGenerator, inference: FakeInference
) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    inference.script = [START, FIRST, cancelled]
    with pytest.raises(Internal):
        await take_all(stream_all(generator, [REQUEST, REQUEST], call()))
    assert inference.num_closed == len(inference.calls)


async def test_closed_it_closes_them_all(generator: TextGenerator, inference: FakeInference) -> None:
    async with aclosing(stream_all(generator, [REQUEST, REQUEST], call())) as arrivals:
        first = await anext(arrivals)
    assert not any(isinstance(each.event, DoneEvent) for each in first)
    assert inference.num_closed == len(inference.calls)
