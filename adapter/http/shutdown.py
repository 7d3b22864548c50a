"""The end of serving: first those who choose a server are told, then what runs gets time, and the rest is told so."""

import asyncio

from adapter.errors import ShuttingDown


class Shutdown:
    """Lives in one event loop, where all but its properties are to be called."""

    def __init__(self) -> None:
        self._has_begun = False
        self._has_stopped_listening = False
        self._is_over = False
        self._limits: set[asyncio.Timeout] = set()

    @property
    def has_begun(self) -> bool:
        return self._has_begun

    def begin(self) -> None:
        """From now on the gateway is not ready, and each answer is the last one of its connection."""
        self._has_begun = True

    @property
    def has_stopped_listening(self) -> bool:
        return self._has_stopped_listening

    def stop_listening(self) -> None:
        """From now on a connection that comes is one that was accepted before, and its request may be on its way."""
        self._has_stopped_listening = True

    def end_after(self, grace: float) -> None:
        """After `grace` seconds nothing goes on."""
        asyncio.get_running_loop().call_later(grace, self.end)

    def end(self) -> None:
        """From now on nothing goes on, and what comes is refused."""
        self._is_over = True
        for limit in self._limits:
            end_now(limit)

    def add(self, limit: asyncio.Timeout) -> None:
        """From now on `limit`, which is that of running work, expires when the time is over."""
        self._limits.add(limit)
        if self._is_over:
            end_now(limit)

    def discard(self, limit: asyncio.Timeout) -> None:
        self._limits.discard(limit)

    def check(self) -> None:
        """Raises ShuttingDown once the end has begun."""
        if self._has_begun:
            raise ShuttingDown("The server is shutting down.")


def end_now(limit: asyncio.Timeout) -> None:
    if not limit.expired():
        limit.reschedule(asyncio.get_running_loop().time())
