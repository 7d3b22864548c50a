"""A value that is slow to load, kept fresh without making those who ask for it wait."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from adapter.errors import TorchbridgeError

_Value = TypeVar("_Value")

_NEVER = float("inf")

_log = logging.getLogger(__name__)


class Refreshing(Generic[_Value]):
    """Calls `load`, which blocks, in a thread: when somebody asks and the value is older than `refresh_after` seconds.

    Lives in one event loop.
    """

    def __init__(self, load: Callable[[], _Value], refresh_after: float) -> None:
        self._load = load
        self._refresh_after = refresh_after
        self._loaded_at = -float("inf")
        self._value: _Value
        self._refresh: asyncio.Task[None] | None = None

    async def get(self, max_age: float, *, wait_from: float = _NEVER, patience: float = 0) -> _Value:
        """The value. If it is older than `max_age` seconds, its refresh is waited for.

        From an age of `wait_from` seconds on it is waited for, too, but for `patience` seconds at most. Raises what
        `load` raised where the value is older than `max_age`.
        """
        age = time.monotonic() - self._loaded_at
        if age > self._refresh_after:
            if self._refresh is None or self._refresh.done():
                self._refresh = self._start()
            if age > max_age:
                await asyncio.shield(self._refresh)
            elif age > wait_from:
                await asyncio.wait({self._refresh}, timeout=patience)
        return self._value

    async def get_newer(self) -> _Value:
        """The value from a load that began after this call; many who call at once share it."""
        called_at = time.monotonic()
        while self._loaded_at < called_at:
            if self._refresh is None or self._refresh.done():
                self._refresh = self._start()
            await asyncio.shield(self._refresh)
        return self._value

    async def reload(self) -> _Value:
        """The value from a load that starts now, whatever is already under way."""
        self._refresh = self._start()
        await asyncio.shield(self._refresh)
        return self._value

    def _start(self) -> asyncio.Task[None]:
        refresh = asyncio.create_task(self._load_in_thread())
        refresh.add_done_callback(_log_failure)
        return refresh

    async def _load_in_thread(self) -> None:
        started_at = time.monotonic()
        value = await asyncio.to_thread(self._load)
        if started_at > self._loaded_at:
            self._value, self._loaded_at = value, started_at


def _log_failure(refresh: asyncio.Task[None]) -> None:
    if not refresh.cancelled() and (error := refresh.exception()) is not None:
        _log.warning("a refresh failed: %s", error.with_cause if isinstance(error, TorchbridgeError) else error)
