"""Answers POST /generate and its like past FastAPI's router. FastAPI still documents them.

Its router, exit stacks, dependencies and answers take as long as all else that the gateway does for a short answer, and
its frames would stay for as long as a stream is open.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.call import Call
from adapter.http.call_parameters import read_call
from adapter.http.json_body import READ_JSON, JsonRequest, JsonRoute, read_json
from adapter.http.route_path import route_path
from adapter.validation.request_errors import invalid_request

Endpoint: TypeAlias = Callable[[Any, Call, Request], Awaitable[ASGIApp]]


class DirectRoute(JsonRoute):
    """A POST's endpoint takes its body, call and request, and returns the response. FastAPI has the other methods."""


class _Direct(NamedTuple):
    endpoint: Endpoint
    body: TypeAdapter[Any]


class DirectRoutes:
    """Pure ASGI, next to FastAPI's own part. Answers POSTs to the DirectRoutes of `routes`, and refuses wrong bodies.

    All else is passed on, also a request without a body or with a wrong header: FastAPI words what is wrong with it.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._directs = {
            route.path: _Direct(route.endpoint, TypeAdapter(body))
            for route in routes
            if isinstance(route, DirectRoute) and (body := _body_of(route)) is not None
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct = self._directs.get(route_path(scope)) if scope.get("method") == "POST" else None
        if direct is None:
            await self._app(scope, receive, send)
            return
        response = await self._response(direct, JsonRequest(scope, receive))
        await response(scope, receive, send)  # may take as long as a stream; body and call are freed by now

    async def _response(self, direct: _Direct, request: JsonRequest) -> ASGIApp:
        content = await request.body()
        if not content:
            return self._of_fastapi(content)
        read = await read_json(content)
        try:
            call = read_call(request)
        except ValidationError:
            request.scope["state"][READ_JSON] = read  # reading it once more would take as long again
            return self._of_fastapi(content)
        try:
            body = direct.body.validate_python(read, from_attributes=True)  # as FastAPI does it, and in its words
        except ValidationError as error:
            raise invalid_request(error.errors(include_url=False, include_input=False)) from None
        return await direct.endpoint(body, call, request)

    def _of_fastapi(self, body: bytes) -> ASGIApp:
        async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
            unread = [body]

            async def receive_again() -> Message:
                if unread:
                    return {"type": "http.request", "body": unread.pop(), "more_body": False}
                return await receive()

            await self._app(scope, receive_again, send)

        return pass_on


def _body_of(route: DirectRoute) -> Any:
    """The type of the route's body, if it takes one."""
    return route.body_field and route.body_field.field_info.annotation
