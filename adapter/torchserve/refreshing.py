"""A value that is slow to load, kept fresh without making those who ask for it wait."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from adapter.errors import TorchbridgeError

_Value = TypeVar("_Value")

_NEVER = float("inf")

_FIRST_PAUSE, _LONGEST_PAUSE, _MAX_DOUBLINGS = 0.05, 1.0, 10  # seconds, after a load that failed

_log = logging.getLogger(__name__)


class Refreshing(Generic[_Value]):
    """Calls `load`, which blocks, in a thread: when somebody asks and the value is older than `refresh_after` seconds.

    After a load that failed the next one waits, longer each time, with those who wait for it. Lives in one event loop.
    """

    def __init__(self, load: Callable[[], _Value], refresh_after: float) -> None:
        self._load = load
        self._refresh_after = refresh_after
        self._loaded_at = -float("inf")
        self._value: _Value
        self._refresh: asyncio.Task[None] | None = None
        self._num_failures = 0  # in a row
        self._failed_at = -float("inf")

    @property
    def latest(self) -> _Value | None:
        """The value, however old it is; None before the first one."""
        return self._value if self._loaded_at > -float("inf") else None

    @property
    def is_failing(self) -> bool:
        """Whether the last load failed."""
        return self._num_failures > 0

    def refresh(self) -> None:
        """Has the value loaded anew if it is old, and waits for nothing. For the event loop's own thread."""
        if self._age() > self._refresh_after:
            self._under_way()

    async def get(self, max_age: float, *, wait_from: float = _NEVER, patience: float = 0) -> _Value:
        """The value. If it is older than `max_age` seconds, its refresh is waited for.

        From an age of `wait_from` seconds on it is waited for, too, but for `patience` seconds at most. Raises what
        `load` raised where the value is older than `max_age`.
        """
        age = self._age()
        if age > self._refresh_after:
            refresh = self._under_way()
            if age > max_age:
                await asyncio.shield(refresh)
            elif age > wait_from:
                await asyncio.wait({refresh}, timeout=patience)
        return self._value

    async def get_newer(self) -> _Value:
        """The value from a load that began after this call; many who call at once share it."""
        called_at = time.monotonic()
        while self._loaded_at < called_at:
            await asyncio.shield(self._under_way())
        return self._value

    async def reload(self) -> _Value:
        """The value from a load that starts now, whatever is already under way or has failed."""
        self._refresh = self._start(0)
        await asyncio.shield(self._refresh)
        return self._value

    def _age(self) -> float:
        return time.monotonic() - self._loaded_at

    def _under_way(self) -> asyncio.Task[None]:
        if self._refresh is None or self._refresh.done():
            self._refresh = self._start(self._pause())
        return self._refresh

    def _pause(self) -> float:
        """Seconds until the next load may begin."""
        if not self._num_failures:
            return 0
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._num_failures - 1, _MAX_DOUBLINGS))
        return max(0, self._failed_at + pause - time.monotonic())

    def _start(self, pause: float) -> asyncio.Task[None]:
        refresh = asyncio.create_task(self._load_in_thread(pause))
        refresh.add_done_callback(self._note_end)
        return refresh

    async def _load_in_thread(self, pause: float) -> None:
        await asyncio.sleep(pause)
        started_at = time.monotonic()
        value = await asyncio.to_thread(self._load)
        if started_at > self._loaded_at:
            self._value, self._loaded_at = value, started_at

    def _note_end(self, refresh: asyncio.Task[None]) -> None:
        """Says when loads begin to fail and when that is over, and nothing between."""
        if refresh.cancelled():
            return
        error = refresh.exception()
        if error is None:
            if self._num_failures:
                _log.warning("refreshes succeed again, after %d that failed", self._num_failures)
            self._num_failures = 0
            return
        if not self._num_failures:
            _log.warning("a refresh failed: %s", error.with_cause if isinstance(error, TorchbridgeError) else error)
        self._num_failures += 1
        self._failed_at = time.monotonic()
