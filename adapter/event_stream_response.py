"""Stream events as an HTTP answer that commits to a status as late as it can."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from adapter.departure import unless_caller_leaves
from adapter.errors import Cancelled, Internal, TorchbridgeError
from adapter.event_stream import CONTENT_TYPE, encode_event
from adapter.schema import ErrorEvent, StartEvent, StreamEvent

_HEADERS = {
    "content-type": CONTENT_TYPE,
    "cache-control": "no-cache, no-transform",  # a proxy that compresses also holds events back
    "x-accel-buffering": "no",  # the same, for nginx
}

_log = logging.getLogger(__name__)


class EventStreamResponse(StreamingResponse):
    """Sends nothing before the first text, so that until then a failure is a true status.

    After that a failure is the one terminal `error` event. `arrivals` is closed as soon as the caller leaves; each of
    its lists is sent at once, as a write costs more than all else that is done for an event.
    """

    def __init__(self, arrivals: AsyncGenerator[list[StreamEvent], None], request_id: str) -> None:
        self._body = _encode(arrivals, request_id)
        self._is_committed = False
        super().__init__(self._body, headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        try:
            await unless_caller_leaves(receive, self.stream_response(send))
        except Cancelled:
            if not self._is_committed:
                raise

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._body) as body:
            async for piece in body:
                if not self._is_committed:
                    self._is_committed = True
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _encode(arrivals: AsyncGenerator[list[StreamEvent], None], request_id: str) -> AsyncGenerator[bytes, None]:
    held_back = b""
    is_committed = False
    async with aclosing(arrivals):
        try:
            async for events in arrivals:
                encoded = b"".join(map(encode_event, events))
                if isinstance(events[-1], StartEvent):
                    held_back = encoded
                    continue
                is_committed = True
                yield held_back + encoded
                held_back = b""
        except Exception as error:
            if not is_committed:
                raise
            yield encode_event(ErrorEvent(problem=_typed(error, request_id).to_problem(request_id)))


def _typed(error: Exception, request_id: str) -> TorchbridgeError:
    if isinstance(error, TorchbridgeError):
        _log.warning("%s %s in mid-stream: %s (%s)", request_id, error.code, error.detail, error.cause)
        return error
    _log.error("%s failed in mid-stream", request_id, exc_info=error)
    return Internal("The gateway failed on this request.", cause=type(error).__name__)
