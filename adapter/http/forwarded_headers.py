"""The caller's address, scheme and host behind a proxy: they come in headers that anybody can send.

So they count from the addresses in TORCHBRIDGE_TRUSTED_PROXIES alone.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from adapter.http.callers_address import plain_address


class ForwardedHeaders:
    """Pure ASGI, outside of RequestEnvelope, whose line in the log has the caller's address.

    uvicorn's own reads X-Forwarded-Proto, and X-Forwarded-For from its end: each proxy adds whom it has seen, so the
    first one there that is no trusted proxy is the caller, and what stands before it is the caller's own word.
    It does not read X-Forwarded-Host, which takes Host's place here. Of several names each must be a known one
    (KnownHosts): which of them a proxy has added, and which the caller, none can tell.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        """`trusted`: addresses and networks."""
        self._proxied = ProxyHeadersMiddleware(app, list(trusted))  # type: ignore[arg-type]  # uvicorn's names for ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("client"):
            host, port = scope["client"]
            scope["client"] = (plain_address(host) or host, port)
            if scope["client"][0] in self._proxied.trusted_hosts:
                _name_host(scope)
        await self._proxied(scope, receive, send)  # type: ignore[arg-type]


def _name_host(scope: Scope) -> None:
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-host"))
    names = [name.strip() for name in forwarded.split(",") if name.strip()]
    if names:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [*((b"host", name.encode("latin-1")) for name in names), *others]
