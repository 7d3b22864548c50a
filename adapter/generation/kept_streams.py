"""Streams that run on for a while after their callers have left, for those who come back to them."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple, Self

from adapter.call import Arrivals
from adapter.errors import ShuttingDown, StreamStopped
from adapter.event_stream import encode_event
from adapter.generation.broadcast import Broadcast
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, StreamEvent

_MAX_BYTES = 64 * 2**20  # of all streams that nobody reads
_EVENT_BYTES = 1_000  # of an event as an object, beside its text


class StreamName(NamedTuple):
    caller: str  # whose it is: nobody else finds it
    stream: str


@dataclass(eq=False)
class _Kept:
    """first: index of its first delta. is_sent: whether any of it was sent, so that somebody can come back."""

    name: StreamName
    first: int
    run: Broadcast
    num_bytes: int = 0
    num_readers: int = 0
    is_sent: bool = False
    limit: asyncio.TimerHandle | None = None


class KeptStreams:
    """It is open inside of `async with`. `seconds`: how long a stream runs on unread, and is there to be found.

    A stream that was read to its end is forgotten, and so is one that has failed: whoever comes back to it then has
    another attempt made. What nobody reads takes `max_bytes` at most: what was left first ends first.
    """

    def __init__(
        self, seconds: float, is_ending: Callable[[], bool] = lambda: False, *, max_bytes: int = _MAX_BYTES
    ) -> None:
        """`is_ending` says whether the gateway is to stop: nobody would come back to it."""
        self._seconds, self._is_ending, self._max_bytes = seconds, is_ending, max_bytes
        self._streams: dict[StreamName, _Kept] = {}
        self._unread: dict[_Kept, None] = {}  # in the order in which they were left
        self._num_bytes = 0  # of those
        self.num_found = self.num_stopped = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for kept in list(self._streams.values()):
            await self._end(kept).stop()

    @property
    def num_unread(self) -> int:
        return len(self._unread)

    def keep(self, name: StreamName, arrivals: Arrivals, *, first: int = 0) -> Arrivals:
        """The events for the caller who has asked for them. first: index of its first delta."""
        return self._begin(name, arrivals, first) if self._seconds else arrivals

    def find(self, name: StreamName, num_deltas: int | None = None) -> Arrivals | None:
        """The stream's events behind so many deltas, or all of them. None if it is not here."""
        kept = self._streams.get(name)
        if kept is None or kept.run.has_failed or (num_deltas or 0) < kept.first:
            return None
        self.num_found += 1
        return self._read(kept, num_deltas)

    async def stop(self, name: StreamName) -> None:
        """Ends the stream for all of its readers; none can come back. Its slot is free when this returns."""
        if kept := self._streams.get(name):
            self.num_stopped += 1
            run = self._end(kept)
            run.cancel(StreamStopped("The stream was stopped."))
            await run.stop()

    async def _begin(self, name: StreamName, arrivals: Arrivals, first: int) -> Arrivals:
        earlier = self._streams.pop(name, None)
        if earlier in self._unread:
            self._give_up(earlier)
        kept = self._streams[name] = self._started(name, arrivals, first)
        async with aclosing(self._read(kept, None)) as read:
            async for events in read:
                yield events

    def _started(self, name: StreamName, arrivals: Arrivals, first: int) -> _Kept:
        async def weighed() -> Arrivals:
            async with aclosing(arrivals):
                async for events in arrivals:
                    self._weigh(kept, events)
                    yield events

        kept = _Kept(name, first, Broadcast(weighed(), _keep_no_answer, outlives_readers=True))
        return kept

    async def _read(self, kept: _Kept, num_deltas: int | None) -> Arrivals:
        self._enter(kept)
        is_whole = False
        try:
            async with aclosing(kept.run.read()) as arrivals:
                async for events in arrivals:
                    if due := _behind(events, num_deltas):
                        kept.is_sent = True
                        yield due
            is_whole = True
        finally:
            kept.num_readers -= 1
            if not kept.num_readers:
                await self._leave(kept, is_whole=is_whole)

    def _enter(self, kept: _Kept) -> None:
        kept.num_readers += 1
        self._take_up(kept)

    async def _leave(self, kept: _Kept, *, is_whole: bool) -> None:
        """Notes that its last reader has left."""
        is_kept = self._streams.get(kept.name) is kept and kept.is_sent and not kept.run.has_failed
        if is_whole or not is_kept or self._is_ending():
            await self._end(kept).stop()
            return
        self._unread[kept] = None
        self._num_bytes += kept.num_bytes
        kept.limit = asyncio.get_running_loop().call_later(self._seconds, self._give_up, kept)
        self._make_room()

    def _weigh(self, kept: _Kept, events: list[StreamEvent]) -> None:
        num_bytes = sum(_EVENT_BYTES + len(encode_event(event)) for event in events)
        kept.num_bytes += num_bytes
        if kept in self._unread:
            self._num_bytes += num_bytes
            self._make_room()

    def _make_room(self) -> None:
        while self._num_bytes > self._max_bytes:
            self._give_up(next(iter(self._unread)))

    def _give_up(self, kept: _Kept) -> None:
        self._end(kept).cancel(ShuttingDown("Nobody has come back to the stream in time."))

    def _end(self, kept: _Kept) -> Broadcast:
        """Forgets the stream. The caller stops its run."""
        if self._streams.get(kept.name) is kept:
            del self._streams[kept.name]
        self._take_up(kept)
        return kept.run

    def _take_up(self, kept: _Kept) -> None:
        """Takes it from the unread ones, if it was one."""
        if kept in self._unread:
            del self._unread[kept]
            self._num_bytes -= kept.num_bytes
        if kept.limit is not None:
            kept.limit.cancel()


def _behind(events: list[StreamEvent], num_deltas: int | None) -> list[StreamEvent]:
    if num_deltas is None:
        return list(events)
    return [each for each in events if isinstance(each, DoneEvent) or _is_behind(each, num_deltas)]


def _is_behind(event: StreamEvent, num_deltas: int) -> bool:
    return isinstance(event, DeltaEvent) and event.index >= num_deltas


async def _keep_no_answer(response: GenerationResponse) -> None:
    """Keeps nothing: a caller who comes back finds the run."""
    del response
