"""Stream events as an HTTP answer that commits to a status as late as it can."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from adapter.call import Call
from adapter.errors import Cancelled, StreamStopped, TorchbridgeError, typed
from adapter.event_stream import CONTENT_TYPE, encode_event
from adapter.http.departure import unless_caller_leaves
from adapter.http.shutdown import Shutdown
from adapter.schema import ErrorEvent, Problem, StartEvent, StreamEvent

_HEADERS = {
    "content-type": CONTENT_TYPE,
    "cache-control": "no-store, no-transform",  # a proxy that compresses also holds events back
    "x-accel-buffering": "no",  # the same, for nginx
}
_OK = 200
_HEARTBEAT = b": ping\n\n"

_log = logging.getLogger(__name__)


_Event = TypeVar("_Event")


class Encoding(Protocol[_Event]):
    """How events become bytes: whole server-sent events, so that a comment may stand after each piece."""

    def is_start(self, event: _Event) -> bool:
        """Whether the event has no text yet, so that the status may wait for what follows."""

    def encode(self, events: list[_Event]) -> bytes: ...

    def encode_failure(self, problem: Problem) -> bytes: ...


class NativeEncoding:
    def is_start(self, event: StreamEvent) -> bool:
        return isinstance(event, StartEvent)

    def encode(self, events: list[StreamEvent]) -> bytes:
        return b"".join(map(encode_event, events))

    def encode_failure(self, problem: Problem) -> bytes:
        return encode_event(ErrorEvent(problem=problem))


class EventStreamResponse(Response, Generic[_Event]):
    """Sends nothing before the first text, so that until then a failure is a true status.

    After that a failure is the one terminal `error` event. A comment goes out after each `heartbeat` seconds without an
    event, so that nobody on the way takes the connection for dead. `arrivals` is closed as soon as the caller
    leaves, and at the call's deadline if the caller does not read. Each of its lists is sent at once, as a write costs
    more than all else that is done for an event.
    """

    def __init__(
        self,
        arrivals: AsyncGenerator[list[_Event], None],
        call: Call,
        shutdown: Shutdown,
        *,
        heartbeat: float,
        encoding: Encoding[_Event],
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """headers: besides those of every stream."""
        super().__init__()
        self._arrivals = arrivals
        self._call = call
        self._shutdown = shutdown
        self._heartbeat = heartbeat
        self._encoding, self._own_headers = encoding, headers
        self._is_committed = False
        self._sent_at = 0.0
        self._next_beat: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        send = _while_read(send, self._call.deadline)
        try:
            try:
                await unless_caller_leaves(receive, self._shutdown, self._send_arrivals(send))
            except Exception as error:
                if not self._is_committed or _is_callers(error):
                    raise
                await self._send(send, self._encoding.encode_failure(self._problem(error)), is_last=True)
            else:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Cancelled:
            if not self._is_committed:
                raise
            # otherwise nobody can be told: the answer is cut

    async def _send_arrivals(self, send: Send) -> None:
        held_back = b""
        try:
            async with aclosing(self._arrivals):
                async for events in self._arrivals:
                    if self._encoding.is_start(events[-1]):
                        held_back += self._encoding.encode(events)
                        continue
                    await self._send(send, held_back + self._encoding.encode(events))
                    held_back = b""
                    if self._next_beat is None:
                        self._beat_later(send)
        finally:
            self._stop_beating()

    async def _send(self, send: Send, piece: bytes, *, is_last: bool = False) -> None:
        if not self._is_committed:
            self._is_committed = True
            headers = {**_HEADERS, **self._own_headers, **self._call.cache.headers()}
            encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": _OK, "headers": encoded})
        self._sent_at = time.monotonic()
        await send({"type": "http.response.body", "body": piece, "more_body": not is_last})

    def _beat_later(self, send: Send) -> None:
        """Sets a timer. There is a task only while a beat is sent: one for each open stream would cost memory."""
        remaining = max(0, self._sent_at + self._heartbeat - time.monotonic())
        self._next_beat = asyncio.get_running_loop().call_later(remaining, self._beat_if_silent, send)

    def _beat_if_silent(self, send: Send) -> None:
        if time.monotonic() - self._sent_at < self._heartbeat:
            self._beat_later(send)
        else:
            self._beating = asyncio.get_running_loop().create_task(self._beat(send))

    async def _beat(self, send: Send) -> None:
        with suppress(Cancelled):
            await self._send(send, _HEARTBEAT)
            self._beat_later(send)

    def _stop_beating(self) -> None:
        for each in (self._next_beat, self._beating):
            if each is not None:
                each.cancel()

    def _problem(self, error: Exception) -> Problem:
        request_id = self._call.request_id
        if isinstance(error, TorchbridgeError):
            _log.warning("%s %s in mid-stream: %s", request_id, error.code, error.with_cause)
        else:
            _log.error("%s failed in mid-stream", request_id, exc_info=error)
        return typed(error).to_problem(request_id)


def _is_callers(error: Exception) -> bool:
    """Whether the error says that the caller has left."""
    return isinstance(error, Cancelled) and not isinstance(error, StreamStopped)


def _while_read(send: Send, deadline: float) -> Send:
    """`send`, which raises Cancelled where at `deadline` it still waits for the caller to read.

    Without it a caller who reads nothing would keep the worker's slot: no other deadline is about the caller.
    """

    async def send_while_read(message: Message) -> None:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await send(message)
        except TimeoutError:
            raise Cancelled("The caller did not read the answer in time.") from None

    return send_while_read
