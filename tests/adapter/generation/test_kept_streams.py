"""A stream runs on for those who come back to it, for so long, within bounds, and until somebody stops it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapter.call import Arrivals
from adapter.errors import StreamStopped, WorkerDied
from adapter.generation.kept_streams import KeptStreams, StreamName
from tests.adapter.generation.held_generations import ANSWER, TEXT, HeldGenerations, settle, text_of
from tests.held_clock import HeldClock

NAME = StreamName("ann", "story")
START, FIRST, *REST = ANSWER
SECONDS = 60


@pytest.fixture
async def kept(clock: HeldClock) -> AsyncIterator[KeptStreams]:
    del clock  # it stands still from here on
    async with KeptStreams(SECONDS) as streams:
        yield streams


async def begin(kept: KeptStreams, source: HeldGenerations, name: StreamName = NAME) -> Arrivals:
    """A stream whose caller has had the start and the first text."""
    arrivals = kept.keep(name, source.run())
    assert [await anext(arrivals), await anext(arrivals)] == [START, FIRST]
    return arrivals


async def left(kept: KeptStreams, source: HeldGenerations, name: StreamName = NAME) -> None:
    await (await begin(kept, source, name)).aclose()


def found(kept: KeptStreams, num_deltas: int | None = None, name: StreamName = NAME) -> Arrivals:
    arrivals = kept.find(name, num_deltas)
    assert arrivals is not None
    return arrivals


async def test_who_comes_back_gets_what_came_meanwhile_and_what_comes_then(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    await left(kept, source)
    source.give(REST[0])
    await settle()
    back = found(kept, 1)
    assert await anext(back) == REST[0]
    source.give(*REST[1:])
    assert [events async for events in back] == REST[1:]
    assert (source.num_started, source.num_closed) == (1, 1)


async def test_a_stream_may_be_read_again_from_its_beginning(kept: KeptStreams) -> None:
    source = HeldGenerations(*ANSWER)
    await left(kept, source)
    assert await text_of(found(kept)) == TEXT


async def test_what_came_together_is_told_from_the_middle(kept: KeptStreams) -> None:
    source = HeldGenerations([*START, *FIRST], *REST)
    arrivals = kept.keep(NAME, source.run())
    await anext(arrivals)
    await arrivals.aclose()
    [first] = [await anext(found(kept, 0))]
    assert first == FIRST


async def test_two_readers_get_the_same(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    first, second = await begin(kept, source), found(kept)
    assert [await anext(second), await anext(second)] == [START, FIRST]
    await first.aclose()
    source.give(*REST)
    assert [events async for events in second] == REST
    assert source.num_closed == 1


async def test_nobody_who_comes_back_in_time_ends_it(kept: KeptStreams, clock: HeldClock) -> None:
    source = HeldGenerations(START, FIRST)
    await left(kept, source)
    await clock.pass_by(SECONDS - 1)
    assert (kept.num_unread, source.num_closed) == (1, 0)
    await clock.pass_by(2)
    assert (kept.num_unread, source.num_closed) == (0, 1)
    assert kept.find(NAME, 1) is None


async def test_who_comes_back_stops_the_clock_and_who_leaves_again_starts_it_anew(
    kept: KeptStreams, clock: HeldClock
) -> None:
    source = HeldGenerations(START, FIRST)
    await left(kept, source)
    await clock.pass_by(SECONDS - 1)
    back = found(kept)
    await anext(back)
    await clock.pass_by(10 * SECONDS)
    await back.aclose()
    await clock.pass_by(SECONDS - 1)
    assert (kept.num_unread, source.num_closed) == (1, 0)


async def test_a_stream_that_was_read_to_its_end_is_forgotten(kept: KeptStreams) -> None:
    source = HeldGenerations(*ANSWER)
    assert await text_of(kept.keep(NAME, source.run())) == TEXT
    assert (kept.find(NAME), kept.num_unread) == (None, 0)


async def test_a_stream_that_has_ended_unread_can_be_found(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    await left(kept, source)
    source.give(*REST)
    await settle()
    assert source.num_closed == 1
    assert [events async for events in found(kept, 1)] == REST


async def test_a_stream_that_has_failed_unread_is_not_found(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    await left(kept, source)
    source.give(WorkerDied("died"))
    await settle()
    assert kept.find(NAME, 1) is None


async def test_a_failure_is_its_readers(kept: KeptStreams) -> None:
    arrivals = await begin(kept, HeldGenerations(START, FIRST, WorkerDied("died")))
    with pytest.raises(WorkerDied):
        await anext(arrivals)
    assert kept.find(NAME) is None


async def test_who_leaves_before_anything_was_told_ends_it(kept: KeptStreams) -> None:
    source = HeldGenerations()
    reading = asyncio.ensure_future(anext(kept.keep(NAME, source.run())))
    await settle()
    reading.cancel()
    await settle()
    assert (source.num_started, source.num_closed, kept.num_unread) == (1, 1, 0)


async def test_a_stop_ends_it_for_whoever_reads_it_and_for_who_would_come_back(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    first, second = await begin(kept, source), found(kept, 1)
    waiting = asyncio.ensure_future(anext(second))
    await settle()
    await kept.stop(NAME)
    assert source.num_closed == 1
    for reading in (anext(first), waiting):
        with pytest.raises(StreamStopped):
            await reading
    assert (kept.find(NAME), kept.num_unread, kept.num_stopped) == (None, 0, 1)


async def test_a_stop_ends_what_nobody_reads(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    await left(kept, source)
    await kept.stop(NAME)
    assert (source.num_closed, kept.num_unread) == (1, 0)


async def test_a_stop_of_what_is_not_there_changes_nothing(kept: KeptStreams) -> None:
    await kept.stop(NAME)
    assert kept.num_stopped == 0


async def test_nobody_finds_or_stops_another_callers_stream(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    await left(kept, source)
    other = StreamName("bob", NAME.stream)
    await kept.stop(other)
    assert kept.find(other) is None
    assert source.num_closed == 0


async def test_a_stream_does_not_tell_what_came_before_its_own_beginning(kept: KeptStreams) -> None:
    arrivals = kept.keep(NAME, HeldGenerations(START, FIRST).run(), first=5)
    await anext(arrivals)
    await arrivals.aclose()
    assert kept.find(NAME, 4) is None
    assert kept.find(NAME, 5) is not None


async def test_a_second_stream_of_the_name_takes_the_place_of_the_first(kept: KeptStreams) -> None:
    first, second = HeldGenerations(START, FIRST), HeldGenerations(START, FIRST)
    await left(kept, first)
    await left(kept, second)
    await settle()
    assert (first.num_closed, second.num_closed, kept.num_unread) == (1, 0, 1)


async def test_a_stream_whose_place_was_taken_goes_on_for_its_reader_and_ends_with_it(kept: KeptStreams) -> None:
    source = HeldGenerations(START, FIRST)
    arrivals = await begin(kept, source)
    await left(kept, HeldGenerations(START, FIRST))
    source.give(REST[0])
    assert await anext(arrivals) == REST[0]
    await arrivals.aclose()
    assert (source.num_closed, kept.num_unread) == (1, 1)


async def test_what_was_left_first_makes_room(clock: HeldClock) -> None:
    del clock
    async with KeptStreams(SECONDS, max_bytes=3_000) as kept:
        sources = [HeldGenerations(START, FIRST) for _ in range(2)]
        for number, source in enumerate(sources):
            await left(kept, source, StreamName("ann", str(number)))
        await settle()
        assert [source.num_closed for source in sources] == [1, 0]
        sources[1].give(REST[0])
        await settle()
        assert (sources[1].num_closed, kept.num_unread) == (1, 0)


async def test_what_is_read_is_no_burden_on_what_is_not(clock: HeldClock) -> None:
    del clock
    async with KeptStreams(SECONDS, max_bytes=3_000) as kept:
        await left(kept, HeldGenerations(START, FIRST))
        other = await begin(kept, HeldGenerations(*ANSWER), StreamName("ann", "other"))
        await settle()
        assert kept.num_unread == 1
        await other.aclose()


async def test_a_gateway_that_is_to_stop_keeps_nothing_more() -> None:
    async with KeptStreams(SECONDS, lambda: True) as kept:
        source = HeldGenerations(START, FIRST)
        await left(kept, source)
        assert (source.num_closed, kept.num_unread) == (1, 0)


async def test_the_end_of_the_gateway_ends_what_is_kept() -> None:
    source = HeldGenerations(START, FIRST)
    async with KeptStreams(SECONDS) as kept:
        await left(kept, source)
    assert (source.num_closed, kept.num_unread) == (1, 0)


async def test_without_a_time_nothing_is_kept_and_nothing_stands_between() -> None:
    kept = KeptStreams(0)
    arrivals = HeldGenerations().run()
    assert kept.keep(NAME, arrivals) is arrivals
