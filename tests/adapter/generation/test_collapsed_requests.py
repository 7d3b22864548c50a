import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.call import Call
from adapter.errors import WorkerDied
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import MemoryStore
from tests.adapter.generation.asking import ASKED, PINNED, Asking, call, collect
from tests.adapter.generation.held_generations import ANSWER, TEXT, Arrivals, settle, text_of

START, FIRST, *REST = ANSWER


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    async with ResponseCache(MemoryStore(2**20, max_age=60)) as cache:
        yield Asking(cache)


async def test_the_same_question_at_once_runs_once(asking: Asking) -> None:
    calls = [call(f"call-{number}") for number in range(50)]
    answers = [asyncio.create_task(text_of(asking.stream(of=each))) for each in calls]
    for step in ANSWER:
        await settle()
        asking.source.give(step)
    assert await asyncio.gather(*answers) == [TEXT] * 50
    assert asking.source.num_started == 1
    assert [each.cache.status for each in calls] == ["fwd=miss"] + ["fwd=miss; collapsed"] * 49


async def test_who_reads_while_it_grows_does_not_join_a_run_that_gives_its_text_seldom(asking: Asking) -> None:
    unread = asyncio.create_task(text_of(asking.stream(of=call("unread", is_streamed=False))))
    await settle()
    read = asyncio.create_task(text_of(asking.stream(of=call("read"))))
    await settle()
    assert asking.source.num_started == 2
    for step in ANSWER:
        for _ in range(2):
            asking.source.give(step)
            await settle()
    assert await asyncio.gather(unread, read) == [TEXT, TEXT]


async def test_who_joins_a_run_gets_events_of_its_own(asking: Asking) -> None:
    joined_at = time.monotonic()
    starter = asyncio.create_task(text_of(asking.stream(of=call("starter"))))
    await settle()
    mine = Call("joined", joined_at)
    reader = asyncio.create_task(collect(asking.stream(of=mine)))
    await settle()
    asking.source.give(*ANSWER)
    events = await reader
    assert await starter == TEXT
    assert events[0].id == events[-1].response.id == "joined"
    response = events[-1].response
    assert (response.cached, response.queue_time, response.text) == (True, 0.0, TEXT)
    assert 0 < response.time_to_first_token < time.monotonic() - joined_at


async def test_who_starts_a_run_gets_its_events_untouched(asking: Asking) -> None:
    asking.source.give(*ANSWER)
    arrived = [list(events) async for events in asking.stream()]
    assert arrived == ANSWER
    assert all(ours is theirs for [ours], [theirs] in zip(arrived, ANSWER, strict=True))


async def test_a_run_goes_on_for_those_who_stay_when_its_starter_leaves(asking: Asking) -> None:
    asking.source.give(START, FIRST)
    starter = asking.stream()
    await anext(starter)
    reader = asyncio.create_task(text_of(asking.stream()))
    await settle()
    await starter.aclose()
    asking.source.give(*REST)
    assert await reader == TEXT
    assert (await asking.answer()).cached


async def test_a_run_that_everybody_left_is_closed_and_not_joined_again(asking: Asking) -> None:
    asking.source.give(START)
    leaving = asking.stream()
    await anext(leaving)
    await leaving.aclose()
    assert asking.source.num_closed == 1
    assert (await asking.answer()).text == TEXT
    assert asking.source.num_started == 2
    await settle()
    assert not asking.cache._runs


async def test_a_run_that_is_being_closed_makes_way_for_the_next(asking: Asking) -> None:
    asking.source.give(START)
    leaving = asking.stream()
    await anext(leaving)
    asking.source.may_close.clear()
    closing = asyncio.create_task(leaving.aclose())
    await settle()
    readers = [asyncio.create_task(text_of(asking.stream()))]
    await settle()
    asking.source.may_close.set()
    await closing
    await settle()
    readers.append(asyncio.create_task(text_of(asking.stream())))
    await settle()
    asking.source.give(*ANSWER)
    assert await asyncio.gather(*readers) == [TEXT] * 2
    assert asking.source.num_started == 2


async def test_a_failure_ends_all_and_the_next_call_runs_again(asking: Asking) -> None:
    answers = [asyncio.create_task(text_of(asking.stream())) for _ in range(3)]
    await settle()
    asking.source.give(START, WorkerDied("gone"))
    errors = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(error) for error in errors] == [WorkerDied] * 3
    assert not (await asking.answer()).cached


async def test_closing_the_cache_ends_what_runs() -> None:
    async with ResponseCache(MemoryStore(2**20, max_age=60)) as cache:
        asking = Asking(cache)
        asking.source.give(START)
        left_open = asking.stream()
        await anext(left_open)
    assert asking.source.num_closed == 1
    await left_open.aclose()


Pace = tuple[int, int, int | None]
PACES = st.tuples(st.integers(0, 12), st.integers(0, 4), st.none() | st.integers(1, 5))


@given(paces=st.lists(PACES, min_size=1, max_size=8), pauses=st.lists(st.integers(0, 4), min_size=5, max_size=5))
def test_however_readers_come_and_go_each_that_stays_gets_all(paces: list[Pace], pauses: list[int]) -> None:
    async def run() -> Arrivals:
        for pause, events in zip(pauses, ANSWER, strict=True):
            await ticks(pause)
            yield events

    async def read(cache: ResponseCache, pace: Pace) -> None:
        joins_after, rests_for, leaves_after = pace
        await ticks(joins_after)
        events = []
        async with aclosing(cache.stream(PINNED, ASKED, call(), run)) as arrivals:
            async for arrived in arrivals:
                events.extend(arrived)
                if leaves_after is not None and len(events) >= leaves_after:
                    return
                await ticks(rests_for)
        assert "".join(event.text for event in events if event.type == "delta") == TEXT
        assert events[-1].response.text == TEXT

    async def play() -> None:
        async with ResponseCache(MemoryStore(2**20, max_age=60)) as cache:
            await asyncio.gather(*(read(cache, pace) for pace in paces))

    asyncio.run(play())


async def ticks(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
