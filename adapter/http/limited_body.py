"""A request's body on its way to the route: no more bytes and no more time than it is allowed."""

import asyncio
from contextlib import suppress
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from adapter.errors import PayloadTooLarge, RequestTimeout

_SECONDS_OF_READING_ON = 1


class BodyLimit(NamedTuple):
    """seconds: for the whole body to arrive."""

    max_bytes: int
    seconds: float


class LimitedBody:
    """Refused when it is read: by its announced length before a byte of it, else as soon as it is too long or late."""

    def __init__(self, receive: Receive, headers: Headers, max_bytes: int, deadline: float) -> None:
        """`deadline` is a time of the event loop's clock."""
        content_length = headers.get("content-length", "")
        self._receive = receive
        self._announced = int(content_length) if content_length.isdecimal() else 0
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._num_read = 0
        self.is_complete = not self._announced and "transfer-encoding" not in headers

    async def receive(self) -> Message:
        if self.is_complete:
            return await self._receive()
        if self._announced > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout("The request's body did not arrive in time.") from None
        self._num_read += len(message.get("body", b""))
        if self._num_read > self._max_bytes:
            raise self._too_large()
        self.is_complete = not message.get("more_body", False)
        return message

    async def discard(self) -> None:
        """Reads on for a moment: closing a connection on what was not read resets it, and the answer may be lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS_OF_READING_ON):
                while True:
                    message = await self._receive()
                    if not message.get("more_body", False):
                        return
                    await asyncio.sleep(0)  # where the next piece is always there, the timeout needs a chance

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The request body has more than the {self._max_bytes} bytes that this gateway takes.")
