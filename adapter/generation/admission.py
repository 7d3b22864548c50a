"""Decides which requests run, wait or are refused: one queue for each model version, with its worker's slots."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from statistics import fmean

from anyio import CapacityLimiter, WouldBlock

from adapter.errors import Overloaded
from adapter.timeline import Timeline

_LONGEST_RETRY_AFTER = 60  # seconds; clients ignore more
_MEASURED_STAYS = 64
_SLOTS_LEFT_BY_BACKGROUND = 1
# Each row of a step makes it longer for all. So the background has few beside live requests, and between two of those.
_MOST_BESIDE_LIVE = 4
_QUIET_AFTER = 10.0  # seconds without a live request


class Admission:
    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._queues: dict[tuple[str, str], _Queue] = {}

    @asynccontextmanager
    async def slot(
        self,
        model: str,
        version: str,
        slots: int,
        *,
        may_wait: bool = True,
        is_background: bool = False,
        had_slot: bool = False,
        timeline: Timeline | None = None,
    ) -> AsyncIterator[None]:
        """Holds one of the version's `slots`, after a wait in order of arrival, which `timeline` records.

        is_background: waits until nobody else does, and leaves the last free slot of several to others. While they run,
        and for some seconds longer, the background begins nothing above its first four slots.
        had_slot: it lost one with a worker, so it may always wait.
        Raises Overloaded at once if the queue is full, or if this request may not wait.
        """
        queue = self._queues.setdefault((model, version), _Queue())
        queue.slots.total_tokens = slots
        ticket = object()
        with (timeline or Timeline()).phase("admission"):
            if is_background:
                await queue.acquire_what_others_leave(ticket)
            else:
                max_waiting = self._max_waiting if may_wait else 0
                await self._acquire(queue, ticket, math.inf if had_slot else max_waiting)
        began_at = time.monotonic()
        try:
            yield
        finally:
            queue.release(ticket)
            queue.stays.append(time.monotonic() - began_at)

    async def _acquire(self, queue: "_Queue", ticket: object, max_waiting: float) -> None:
        if queue.slots.available_tokens < 1 and queue.num_waiting >= max_waiting:
            raise Overloaded(
                f"{queue.num_waiting} requests are already waiting for this model version.",
                retry_after=queue.retry_after(),
            )
        try:
            queue.slots.acquire_on_behalf_of_nowait(ticket)
        except WouldBlock:
            queue.waiting_since[ticket] = time.monotonic()
            try:
                await queue.slots.acquire_on_behalf_of(ticket)
            finally:
                del queue.waiting_since[ticket]

    def num_waiting(self) -> int:
        return sum(queue.num_waiting for queue in self._queues.values())

    def num_running(self) -> int:
        return sum(int(queue.slots.borrowed_tokens) for queue in self._queues.values())

    def longest_wait(self) -> float:
        """Seconds that the first one in a queue has waited; 0 without one."""
        firsts = [next(iter(queue.waiting_since.values())) for queue in self._queues.values() if queue.waiting_since]
        return time.monotonic() - min(firsts) if firsts else 0.0

    def queue(self, model: str, version: str) -> tuple[int, int]:
        """How many of this version's requests wait for a slot, and how many hold one."""
        queue = self._queues.get((model, version))
        return (queue.num_waiting, int(queue.slots.borrowed_tokens)) if queue else (0, 0)

    def retry_after(self, model: str, version: str) -> int | None:
        """Seconds until all who wait now will have a slot, at the recent rate; None before it is known."""
        queue = self._queues.get((model, version))
        return queue.retry_after() if queue else None


class _Queue:
    def __init__(self) -> None:
        self.slots = CapacityLimiter(1)
        self.stays: deque[float] = deque(maxlen=_MEASURED_STAYS)  # seconds
        self.waiting_since: dict[object, float] = {}  # time.monotonic() by ticket, in order of arrival
        self._released = asyncio.Event()
        self._background: set[object] = set()  # tickets that hold a slot
        self._live_until = -math.inf  # time.monotonic() when the last live one left

    async def acquire_what_others_leave(self, ticket: object) -> None:
        # No slot is free while somebody waits. Nothing else runs between this check and the taking.
        while not self._leaves_one_over():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_until_quiet() or None):
                    await self._released.wait()
        self.slots.acquire_on_behalf_of_nowait(ticket)
        self._background.add(ticket)

    def _leaves_one_over(self) -> bool:
        if self.slots.available_tokens < min(_SLOTS_LEFT_BY_BACKGROUND + 1, self.slots.total_tokens):
            return False
        return len(self._background) < _MOST_BESIDE_LIVE or self._seconds_until_quiet() == 0

    def _seconds_until_quiet(self) -> float | None:
        """None while a live one runs: its end wakes those who wait."""
        if self.slots.borrowed_tokens > len(self._background):
            return None
        return max(0.0, self._live_until + _QUIET_AFTER - time.monotonic())

    def release(self, ticket: object) -> None:
        """Gives it to the first in the queue. Those in the background look after that: it may leave with a slot."""
        self.slots.release_on_behalf_of(ticket)
        if ticket in self._background:
            self._background.remove(ticket)
        else:
            self._live_until = time.monotonic()
        self._released.set()
        self._released = asyncio.Event()

    @property
    def num_waiting(self) -> int:
        return self.slots.statistics().tasks_waiting

    def retry_after(self) -> int | None:
        if not self.stays:
            return None
        # Not the time between two ends, which would count the hours in which nobody came.
        seconds_per_end = fmean(self.stays) / self.slots.total_tokens
        return max(1, min(_LONGEST_RETRY_AFTER, math.ceil((self.num_waiting + 1) * seconds_per_end)))
