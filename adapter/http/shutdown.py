"""The end of serving: what runs gets time to finish, and what has not finished by then is told so."""

import asyncio

from adapter.errors import ShuttingDown


class Shutdown:
    """Lives in one event loop; `begin` is to be called there."""

    def __init__(self) -> None:
        self._has_begun = False
        self._is_over = False
        self._limits: set[asyncio.Timeout] = set()

    @property
    def has_begun(self) -> bool:
        return self._has_begun

    def begin(self, grace: float) -> None:
        """From now on nothing new is taken, and after `grace` seconds nothing goes on."""
        self._has_begun = True
        asyncio.get_running_loop().call_later(grace, self._end)

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
            raise ShuttingDown("The server is shutting down and takes no new requests.")

    def _end(self) -> None:
        self._is_over = True
        for limit in self._limits:
            end_now(limit)


def end_now(limit: asyncio.Timeout) -> None:
    if not limit.expired():
        limit.reschedule(asyncio.get_running_loop().time())
