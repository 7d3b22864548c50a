"""The parts that every request and answer has, whatever its route: an id, limits, safe headers, one log line."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable, Collection, Mapping

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.call import Trace
from adapter.errors import AddressTooLong, HeadersTooLarge, NotFound, TorchbridgeError, typed
from adapter.http.callers_address import plain_address
from adapter.http.cross_origin import CROSS_ORIGIN
from adapter.http.limited_body import BodyLimit, LimitedBody
from adapter.http.problem_responses import problem_response
from adapter.http.route_path import put_below, route_path
from adapter.http.server_timing import server_timing
from adapter.log_lines.current_request import RequestIds, current_request, trace_id_of
from adapter.log_lines.log_line import FIELDS
from adapter.timeline import Timeline

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_HEADERS = 100
_MAX_HEADERS_BYTES = 16 * 2**10
_MAX_ADDRESS_BYTES = _MAX_HEADER_BYTES = 8 * 2**10
_MAX_LOGGED = 200  # characters of an address
# In a request's state: the status that HttpProtocol has answered in the application's place.
REFUSED_STATUS = "refused_status"
_CUT = 500  # what uvicorn answers where the application was cancelled before its answer began

_log = logging.getLogger(__name__)


class RequestEnvelope:
    """Pure ASGI: Starlette's BaseHTTPMiddleware hides the caller's departure from the route.

    Gives the routes `request.state.request_id`, `received_at` (seconds, monotonic), `timeline` and `trace`.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        body_timeout: float,
        cors_origins: Collection[str] = (),
        count: Callable[[Scope, int], None] = lambda *_: None,
        *,
        root_path: str = "",
        upload_limits: Mapping[str, BodyLimit] | None = None,
        begin_trace: Callable[[Scope, float], Trace | None] | None = None,
    ) -> None:
        """`body_timeout` is in seconds, for the whole body; the paths of `upload_limits` have limits of their own.

        Pages of `cors_origins` can read every answer.
        `root_path` may stand before every path, or may have been taken away.
        `count` is called for each request with its status, and `begin_trace` at its arrival (monotonic).
        """
        self._app = app
        self._count = count
        self._answer = CORSMiddleware(self._run, cors_origins, **CROSS_ORIGIN) if cors_origins else self._run
        self._limit = BodyLimit(max_body_bytes, body_timeout)
        self._upload_limits = upload_limits or {}
        self._root_path = root_path
        self._begin_trace = begin_trace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received_at = time.monotonic()
        put_below(self._root_path, scope)
        headers = Headers(scope=scope)
        request_id = _request_id(headers.getlist("x-request-id"))
        trace = self._begin_trace(scope, received_at) if self._begin_trace else None
        timeline = Timeline()
        scope.setdefault("state", {}).update(
            request_id=request_id, received_at=received_at, timeline=timeline, trace=trace
        )
        limit = self._upload_limits.get(route_path(scope), self._limit)
        deadline = asyncio.get_running_loop().time() + limit.seconds
        body = LimitedBody(receive, headers, limit.max_bytes, deadline)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = _headers(message, request_id, is_last=not body.is_complete)
                added.append((b"server-timing", server_timing(timeline, received_at).encode()))
                message = {**message, "headers": [*message["headers"], *added]}
            elif not body.is_complete and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await body.discard()
                message = {"type": "http.response.body"}
            await send(message)

        within = current_request.set(_ids(request_id, headers, trace))
        try:
            await self._answer(scope, body.receive, send_with_headers)
        finally:
            status = scope["state"].get(REFUSED_STATUS, status)
            _log_end(scope, status, time.monotonic() - received_at)
            self._count(scope, status or _CUT)
            if trace is not None:
                trace.end(request_id, status or _CUT, scope["state"].get("caller"))
            current_request.reset(within)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or a Problem in its place."""
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            _check_head(scope, Headers(scope=scope))
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            if not isinstance(error, TorchbridgeError):
                _log.exception("%s failed", scope["state"]["request_id"])
            if has_begun:
                raise  # all that is left is to cut it
            await problem_response(typed(error), scope)(scope, receive, send)


def _ids(request_id: str, headers: Headers, trace: Trace | None) -> RequestIds:
    if trace is None:
        return RequestIds(request_id, trace_id_of(headers.get("traceparent")))
    return RequestIds(request_id, trace.trace_id, trace.span_id)


def _log_end(scope: Scope, status: int, seconds: float) -> None:
    """A proxy may not know the address (ForwardedHeaders)."""
    request_id, caller = scope["state"]["request_id"], scope["state"].get("caller", "-")
    address = (plain_address(scope["client"][0]) if scope.get("client") else None) or "-"
    # Both are the caller's, of any length.
    method, path = f"{scope['method']:.20}", _shown(scope["raw_path"].decode("ascii", "backslashreplace"))
    fields = {"caller": caller, "address": address, "method": method, "path": path}
    fields |= {"status": status, "seconds": round(seconds, 3)}
    message = "%s %s %s %s %s %d %.3f s"
    _log.info(message, request_id, caller, address, method, path, status, seconds, extra={FIELDS: fields})


def _shown(path: str) -> str:
    return path if len(path) <= _MAX_LOGGED else f"{path[:_MAX_LOGGED]}... ({len(path)} characters)"


def _request_id(received: list[str]) -> str:
    if len(received) == 1 and _REQUEST_ID.fullmatch(received[0]):
        return received[0]
    return uuid.uuid4().hex


def _check_head(scope: Scope, headers: Headers) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > _MAX_ADDRESS_BYTES:
        raise AddressTooLong(f"The request's address has more than {_MAX_ADDRESS_BYTES} bytes.")
    lines = [len(name) + len(value) for name, value in headers.raw]
    if max(lines, default=0) > _MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"A header of the request has more than {_MAX_HEADER_BYTES} bytes.")
    if len(lines) > _MAX_HEADERS or sum(lines) > _MAX_HEADERS_BYTES:
        raise HeadersTooLarge(
            f"The request has more than {_MAX_HEADERS} headers or {_MAX_HEADERS_BYTES} bytes of them."
        )
    if scope["path"].endswith("\n"):  # "$" in Starlette's patterns also matches before it
        raise NotFound("There is nothing at this address. See /docs for what there is.")


def _headers(message: Message, request_id: str, *, is_last: bool) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
    if all(name != b"cache-control" for name, _ in message["headers"]):
        headers.append((b"cache-control", b"no-store"))
    if is_last:
        # Otherwise uvicorn reads what is left of the body, of any length, for as long as it comes.
        headers.append((b"connection", b"close"))
    return headers
