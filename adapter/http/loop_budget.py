"""Limits how much of callers' input is handled in one turn of the event loop, so that others' streams have theirs.

asyncio handles all that has come on all connections before any task or timer goes on, and whatever requests begin or
end with it do so together, in the next turn: of some hundred connections each stream would wait for the others.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

_ACTS = 8  # each may begin or end a request, and then it takes some 0.3 ms of the next turn
_SECONDS = 0.001


class LoopBudget:
    """Calls acts in the order in which they come: a few in each turn of the loop, the first ones at once."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._num_acts, self._seconds = 0, 0.0  # of this turn
        self._is_next_planned = False

    def take(self, act: Callable[[], None]) -> bool:
        """Calls `act` now or in a later turn. Returns whether it was now."""
        if not self._is_next_planned:
            self._plan_next()
        if self._waiting or not self._has_time():
            self._waiting.append(act)
            return False
        self._do(act)
        return True

    def _plan_next(self) -> None:
        self._is_next_planned = True
        asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._num_acts, self._seconds, self._is_next_planned = 0, 0.0, False
        if self._waiting:
            self._plan_next()  # before the acts: one of them may raise
        while self._waiting and self._has_time():
            self._do(self._waiting.popleft())

    def _has_time(self) -> bool:
        return self._num_acts < _ACTS and self._seconds < _SECONDS

    def _do(self, act: Callable[[], None]) -> None:
        began = self._clock()
        act()
        self._num_acts += 1
        self._seconds += self._clock() - began
