"""The methods that every address takes beside its routes' own: HEAD where GET is, and OPTIONS (RFC 9110, 9.3.2, 9.3.7).

Load balancers and monitors ask with them whether somebody is there.
"""

from collections.abc import Sequence

from fastapi import Response
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ANYWHERE = "GET, HEAD, OPTIONS, POST"


class HeadAsGet:
    """Pure ASGI: a HEAD is a GET whose answer keeps its headers and loses its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


def allowed(routes: Sequence[BaseRoute], path: str) -> str:
    """The header Allow of an address, by all of its routes: the router itself names the methods of the first one."""
    here = [each for each in iter_route_contexts(routes) if each.path and compile_path(each.path)[0].match(path)]
    methods = {"OPTIONS"}.union(*(each.methods or () for each in here))
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def options_answer(allow: str | None) -> Response:
    """For one address, or without `allow` for the whole server (`OPTIONS *`)."""
    return Response(status_code=204, headers={"allow": allow or _ANYWHERE})
