"""The end of serving: what runs gets time to finish, and what has not finished by then is told so."""

import asyncio

from adapter.errors import ShuttingDown


class Shutdown:
    """Lives in one event loop; `begin` is to be called there."""

    def __init__(self) -> None:
        self._has_begun = False
        self._is_over = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        return self._has_begun

    def begin(self, grace: float) -> None:
        """From now on nothing new is taken, and after `grace` seconds nothing goes on."""
        self._has_begun = True
        asyncio.get_running_loop().call_later(grace, self._is_over.set)

    async def wait_until_over(self) -> None:
        await self._is_over.wait()

    def check(self) -> None:
        """Raises ShuttingDown once the end has begun."""
        if self._has_begun:
            raise ShuttingDown("The server is shutting down and takes no new requests.")
