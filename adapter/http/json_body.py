"""Request bodies as strict JSON: what two readers could take for two different things is refused, never guessed.

A body that is not JSON is malformed_json: other than UTF-8, NaN, a name twice in one object, half a character. JSON
beyond the limits that RFC 8259 (section 9) leaves to a reader is invalid_request: too many values, nested too deeply, a
number of thousands of digits. So is JSON that is not what the route takes, 1e999 for a number among it; there the
field is named. A byte order mark is ignored, as section 8.1 allows: Windows' editors and PowerShell write it.
"""

import asyncio
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import Request, Response
from fastapi.routing import APIRoute
from jiter import from_json
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from adapter.errors import Cancelled, MalformedJson, TorchbridgeError, UnsupportedMediaType
from adapter.http.json_outline import JsonOutline, beyond_limits, too_deep

READ_JSON = "read_json"  # in a scope's state: what its body was read as

_SLICE = 32 * 2**10  # bytes; 2 ms at most, where all of them are brackets
# Large bodies take their turns, or a hundred of them would take the event loop for a hundred slices at once.
_one_by_one: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
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
        state = self.scope.get("state", {})
        if READ_JSON in state:
            return state.pop(READ_JSON)
        return await read_json(await self.body())


async def read_json(body: bytes) -> Any:
    """Reads a body of any size. Other tasks have their turn after each slice that is counted."""
    body = body.removeprefix(BOM_UTF8)
    outline = JsonOutline()
    if len(body) <= _SLICE:
        outline.add(body)
        return _read(body)
    async with _one_by_one.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        for start in range(0, len(body), _SLICE):
            outline.add(body[start : start + _SLICE])
            await asyncio.sleep(0)
        read = _read(body)
    await asyncio.sleep(0)  # validation takes as long again
    return read


def _read(body: bytes) -> Any:
    try:
        read = [from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")]
    except ValueError as error:
        raise _unreadable(str(error)) from error
    _make_integers(read)
    return read[0]


def _unreadable(reason: str) -> TorchbridgeError:
    # What jiter says at limits of its own (its errors.rs); none of ours is above them.
    if reason.startswith("recursion limit exceeded"):
        return too_deep()
    if reason.startswith("number out of range"):
        return beyond_limits("has a number of too many digits")
    if reason.startswith("Detected duplicate key"):
        # The name is the caller's own text, of any length and with anything in it.
        return MalformedJson(f"The body has a name twice in one object: at {reason.rpartition(' at ')[2]}.")
    if "hex escape" in reason:  # what else is wrong with one is an "invalid escape"
        place = reason.rpartition(" at ")[2]
        return MalformedJson(f"The body has half of a character, as of a text cut within an emoji: at {place}.")
    return MalformedJson(f"The body is not JSON: {reason}.")


def _make_integers(members: list[Any] | dict[str, Any]) -> None:
    """JSON Schema's and JavaScript's 5.0 is the integer 5."""
    for place, member in members.items() if isinstance(members, dict) else enumerate(members):
        if isinstance(member, float):
            if member.is_integer():
                members[place] = int(member)  # type: ignore[index]  # a name or a position, as the members have it
        elif member and isinstance(member, dict | list):
            _make_integers(member)


def _check_encoding(headers: Headers) -> None:
    media_type, _, parameters = ", ".join(headers.getlist("content-type")).lower().partition(";")
    if not _MEDIA_TYPE.fullmatch(media_type) or set(_CHARSET.findall(parameters)) - {"utf-8", "utf8"}:
        raise UnsupportedMediaType("The content type must be application/json, in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed.")
