import asyncio
from contextlib import aclosing

import pytest

from adapter.errors import Internal, Overloaded, ShuttingDown, TorchbridgeError
from adapter.generation.broadcast import Broadcast
from adapter.schema import GenerationResponse
from tests.adapter.generation.held_generations import ANSWER, TEXT, HeldGenerations, settle, text_of

START, FIRST, *REST = ANSWER


class Shelf:
    def __init__(self) -> None:
        self.kept: list[GenerationResponse] = []
        self.is_free = asyncio.Event()
        self.is_free.set()

    async def keep(self, response: GenerationResponse) -> None:
        await self.is_free.wait()
        self.kept.append(response)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def test_many_readers_of_one_run_get_the_same_events(shelf: Shelf) -> None:
    source = HeldGenerations()
    run = Broadcast(source.run(), shelf.keep)
    readers = [asyncio.create_task(text_of(run.read())) for _ in range(50)]
    for step in ANSWER:
        await settle()
        source.give(step)
    assert await asyncio.gather(*readers) == [TEXT] * 50
    assert source.num_started == source.num_closed == 1


async def test_a_reader_gets_together_what_came_together(shelf: Shelf) -> None:
    run = Broadcast(HeldGenerations(*ANSWER).run(), shelf.keep)
    assert [events async for events in run.read()] == ANSWER


async def test_a_reader_that_is_slower_than_the_run_misses_nothing(shelf: Shelf) -> None:
    run = Broadcast(HeldGenerations(*ANSWER).run(), shelf.keep)
    async with aclosing(run.read()) as arrivals:
        first = await anext(arrivals)
        await run.task
        assert [first] + [events async for events in arrivals] == ANSWER


async def test_a_reader_may_join_when_the_answer_is_complete(shelf: Shelf) -> None:
    run = Broadcast(HeldGenerations(*ANSWER).run(), shelf.keep)
    async with aclosing(run.read()) as early:
        await anext(early)
        await run.task
        assert await text_of(run.read()) == TEXT


async def test_half_of_the_readers_may_leave(shelf: Shelf) -> None:
    source = HeldGenerations(START, FIRST)
    run = Broadcast(source.run(), shelf.keep)
    readers = [asyncio.create_task(text_of(run.read())) for _ in range(50)]
    await settle()
    for reader in readers[::2]:
        reader.cancel()
    await settle()
    source.give(*REST)
    assert await asyncio.gather(*readers[1::2]) == [TEXT] * 25


async def test_the_last_reader_that_leaves_closes_the_run(shelf: Shelf) -> None:
    source = HeldGenerations(START, FIRST)
    run = Broadcast(source.run(), shelf.keep)
    async with aclosing(run.read()) as first, aclosing(run.read()) as second:
        await anext(first)
        await anext(second)
        await first.aclose()
        assert (source.num_closed, run.can_be_joined) == (0, True)
        await second.aclose()
        assert (source.num_closed, run.can_be_joined) == (1, False)
    assert not shelf.kept


async def test_a_whole_answer_is_kept_although_its_reader_is_gone(shelf: Shelf) -> None:
    shelf.is_free.clear()
    run = Broadcast(HeldGenerations(*ANSWER).run(), shelf.keep)
    assert await text_of(run.read()) == TEXT
    shelf.is_free.set()
    await run.task
    assert [response.text for response in shelf.kept] == [TEXT]


async def test_an_answer_without_an_end_is_not_kept(shelf: Shelf) -> None:
    source = HeldGenerations(START, FIRST, Overloaded("full"))
    with pytest.raises(Overloaded):
        await text_of(Broadcast(source.run(), shelf.keep).read())
    assert not shelf.kept


async def test_a_failure_reaches_each_reader_after_what_came_before_it(shelf: Shelf) -> None:
    source = HeldGenerations(START, FIRST)
    run = Broadcast(source.run(), shelf.keep)
    arrived: list[list[object]] = [[] for _ in range(10)]

    async def read(into: list[object]) -> None:
        async for events in run.read():
            into.append(events)  # noqa: PERF401 - what came before a failure is kept

    readers = [asyncio.create_task(read(into)) for into in arrived]
    await settle()
    source.give(Overloaded("full", cause="a queue", retry_after=7))
    errors = await asyncio.gather(*readers, return_exceptions=True)
    assert arrived == [[START, FIRST]] * 10
    assert {(type(error), str(error)) for error in errors} == {(Overloaded, "full")}
    assert {(error.cause, error.retry_after) for error in errors if isinstance(error, TorchbridgeError)} == {
        ("a queue", 7)
    }
    assert len(set(map(id, errors))) == 10
    assert not run.can_be_joined


async def test_whatever_is_cancelled_within_a_run_ends_its_readers(shelf: Shelf) -> None:
    run = Broadcast(HeldGenerations(START, FIRST, asyncio.CancelledError()).run(), shelf.keep)
    readers = [asyncio.create_task(text_of(run.read())) for _ in range(3)]
    errors = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(error) for error in errors] == [Internal] * 3
    assert not run.can_be_joined


async def test_a_run_that_is_stopped_says_so_to_its_readers(shelf: Shelf) -> None:
    source = HeldGenerations(START)
    run = Broadcast(source.run(), shelf.keep)
    reader = asyncio.create_task(text_of(run.read()))
    await settle()
    await run.stop()
    with pytest.raises(ShuttingDown):
        await reader
    assert source.num_closed == 1


async def test_to_stop_waits_for_what_is_being_kept(shelf: Shelf) -> None:
    shelf.is_free.clear()
    run = Broadcast(HeldGenerations(*ANSWER).run(), shelf.keep)
    await text_of(run.read())
    stopping = asyncio.create_task(run.stop())
    await settle()
    assert not stopping.done()
    shelf.is_free.set()
    await stopping
    assert shelf.kept
