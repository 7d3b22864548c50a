"""Request bodies as strict JSON: what two readers could take for two different things is refused, never guessed.

A body that is not JSON is malformed_json: other than UTF-8, NaN, a name twice in one object, half a character. JSON
beyond the limits that RFC 8259 (section 9) leaves to a reader is invalid_request: too many values, nested too deeply, a
number of thousands of digits. So is JSON that is not what the route takes, 1e999 for a number among it; there the
field is named. A byte order mark is ignored, as section 8.1 allows: Windows' editors and PowerShell write it.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from adapter.errors import Cancelled, InvalidRequest, MalformedJson, TorchbridgeError, UnsupportedMediaType
from adapter.schema import FieldError

_MAX_DEPTH = 32
_MAX_VALUES = 20_000  # Pydantic takes 10 µs and 2 KB for each one that is wrong, and the event loop waits
_MEDIA_TYPE = re.compile(r"application/(?:[a-z0-9.-]+\+)?json\s*")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^;"'\s]*)""")


class JsonRoute(APIRoute):
    """FastAPI's route, which reads a body as JsonRequest does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_strictly


class JsonRequest(Request):
    async def body(self) -> bytes:
        _check_encoding(self.headers)
        try:
            return await super().body()
        except ClientDisconnect as error:
            raise Cancelled("The caller left before the request was complete.") from error

    async def json(self) -> Any:
        return read_json(await self.body())


def read_json(body: bytes) -> Any:
    """Takes time in proportion to the body's length, whatever is in it."""
    body = body.removeprefix(BOM_UTF8)
    try:
        from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise _unreadable(str(error)) from error
    # from_json says best what is wrong, but takes the last of two members with one name.
    value = json.loads(body, object_pairs_hook=_object, parse_float=_number)
    _check_size(value)
    return value


def _unreadable(reason: str) -> TorchbridgeError:
    # What from_json says at limits of its own (jiter's errors.rs); none of ours is above them.
    if reason.startswith("recursion limit exceeded"):
        return _too_deep()
    if reason.startswith("number out of range"):
        return _beyond_limits("has a number of too many digits")
    return MalformedJson(f"The body is not JSON: {reason}.")


def _too_deep() -> InvalidRequest:
    return _beyond_limits(f"is nested deeper than {_MAX_DEPTH} levels")


def _beyond_limits(fault: str) -> InvalidRequest:
    return InvalidRequest(f"The body {fault}.", errors=(FieldError(field="body", message=fault),))


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, member in members:
        if name in value:
            # As a literal, and cut, the caller's own text can neither break a log line nor fill it.
            raise MalformedJson(f"The body has the name {name!r:.100} twice in one object.")
        value[name] = member
    return value


def _number(literal: str) -> int | float:
    """JSON Schema's and JavaScript's 5.0 is the integer 5."""
    number = float(literal)
    return int(number) if number.is_integer() else number


def _check_size(value: Any) -> None:
    level = [value]
    num_values = 0
    for _ in range(_MAX_DEPTH + 1):
        num_values += len(level)
        if num_values > _MAX_VALUES:
            raise _beyond_limits(f"has more than {_MAX_VALUES} values")
        containers = [member for member in level if isinstance(member, dict | list)]
        level = [
            member
            for container in containers
            for member in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    raise _too_deep()


def _check_encoding(headers: Headers) -> None:
    media_type, _, parameters = ", ".join(headers.getlist("content-type")).lower().partition(";")
    if not _MEDIA_TYPE.fullmatch(media_type) or set(_CHARSET.findall(parameters)) - {"utf-8", "utf8"}:
        raise UnsupportedMediaType("The content type must be application/json, in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed.")
