"""Finds the caller's name by its API key. Without a known key there is no way in but to the open addresses.

An operator's key opens only what tells of all callers. A rollout key, and no other key, opens what changes the
versions that are served, and nothing else.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from adapter.call import ANONYMOUS
from adapter.errors import Forbidden, Unauthorized
from adapter.http.api_keys import ApiKeys
from adapter.http.problem_responses import problem_response
from adapter.http.route_path import route_path

# Paths as route_path gives them, and the router uses them: a URL that is put together from the caller's Host header
# is another (request.url).
OPEN_PATHS = frozenset(
    {
        "/",
        "/livez",
        "/readyz",
        "/health",
        "/openapi.json",
        "/docs",
        "/docs/assets/favicon.png",
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/assets/swagger-ui.css",
    }
)
OPERATOR_PATHS = frozenset({"/metrics", "/canary/verdict"})
ROLLOUT_PATH = "/rollout"
_OPEN_METHODS = frozenset({"GET", "HEAD"})

_UNKNOWN_KEY = "This API key is not known here. It may have been replaced."
_OPERATORS_ONLY = "This address tells of all callers, and takes an operator's key only (TORCHBRIDGE_OPERATOR_KEYS)."

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


class Authentication:
    """Pure ASGI, inside RequestEnvelope; refuses before a byte of the body is read.

    Gives the routes `request.state.caller`.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: ApiKeys | None,
        operator_keys: ApiKeys | None = None,
        rollout_keys: ApiKeys | None = None,
    ) -> None:
        self._app = app
        self._keys = keys
        self._operator_keys = operator_keys
        self._rollout_keys = rollout_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            state["caller"] = self._caller(scope)
        except Unauthorized as error:
            response = problem_response(error, scope)
            response.headers["www-authenticate"] = "Bearer"
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _caller(self, scope: Scope) -> str:
        if _is_open(scope):
            return ANONYMOUS
        if self._rollout_keys is not None and route_path(scope) == ROLLOUT_PATH:
            return _identify(scope, self._rollout_keys)
        if route_path(scope) not in OPERATOR_PATHS:
            return ANONYMOUS if self._keys is None else _identify(scope, self._keys)
        if self._operator_keys is None and self._keys is None:
            return ANONYMOUS
        presented = _presented(scope)
        if self._operator_keys is not None and (operator := self._operator_keys.name_of(presented)):
            return operator
        if self._keys is not None and self._keys.name_of(presented):
            raise Forbidden(_OPERATORS_ONLY)
        raise Unauthorized(_UNKNOWN_KEY)


def _is_open(scope: Scope) -> bool:
    if scope.get("method") == "OPTIONS":  # no route takes it; it asks what /openapi.json says anyway
        return True
    return route_path(scope) in OPEN_PATHS and scope.get("method") in _OPEN_METHODS


def _identify(scope: Scope, keys: ApiKeys) -> str:
    name = keys.name_of(_presented(scope))
    if name is None:
        raise Unauthorized(_UNKNOWN_KEY)
    return name


def _presented(scope: Scope) -> bytes:
    credentials = [value for name, value in scope["headers"] if name == b"authorization"]
    bearer = _BEARER.fullmatch(credentials[0]) if len(credentials) == 1 else None
    if bearer is None:
        raise Unauthorized("This address needs an API key, in one header 'Authorization: Bearer KEY'.")
    return bearer[1]
