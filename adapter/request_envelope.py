"""What every request and answer has, whatever its route: an id, a body limit, safe headers, one log line."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.errors import Internal
from adapter.problem_responses import problem_response

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = logging.getLogger(__name__)


class RequestEnvelope:
    """Pure ASGI: Starlette's BaseHTTPMiddleware hides the caller's departure from the route.

    Gives the routes `request.state.request_id` and `request.state.received_at` (seconds, monotonic).
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received_at = time.monotonic()
        headers = Headers(scope=scope)
        request_id = _accepted(headers.get("x-request-id"))
        scope.setdefault("state", {}).update(request_id=request_id, received_at=received_at)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_headers(message, request_id)]}
            await send(message)

        limited = _limit(receive, headers.get("content-length"), self._max_body_bytes)
        try:
            await self._app(scope, limited, send_with_headers)
        except Exception as error:
            _log.exception("%s failed", request_id)
            if status:
                raise  # the answer has begun: all that is left is to cut it
            await problem_response(_internal(error), request_id)(scope, receive, send_with_headers)
        finally:
            path = scope["raw_path"].decode("ascii", "backslashreplace")
            _log.info("%s %s %s %d %.3f s", request_id, scope["method"], path, status, time.monotonic() - received_at)


def _accepted(request_id: str | None) -> str:
    return request_id if request_id and _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex


def _headers(message: Message, request_id: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
    if all(name != b"cache-control" for name, _ in message["headers"]):
        headers.append((b"cache-control", b"no-store"))
    return headers


def _limit(receive: Receive, content_length: str | None, max_bytes: int) -> Receive:
    """Refuses the body when it is read: by its announced length before a byte of it, else as soon as it is too long."""
    # FastAPI(max_body_size=…) would answer an announced length in plain text (starlette/middleware/body_limit.py).
    announced = int(content_length) if content_length and content_length.isdecimal() else 0
    read = 0

    async def receive_limited() -> Message:
        nonlocal read
        if announced > max_bytes:
            raise HTTPException(413)
        message = await receive()
        read += len(message.get("body", b""))
        if read > max_bytes:
            raise HTTPException(413)
        return message

    return receive_limited


def _internal(error: Exception) -> Internal:
    return Internal("The gateway failed on this request.", cause=type(error).__name__)
