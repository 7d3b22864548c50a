"""The names that a gateway without keys answers to, against DNS rebinding.

There a page's own name is made to mean this machine. The browser takes the gateway for the page's own server, so no
rule of origins protects it. With keys there is no need: the page has none.
"""

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from adapter.errors import Forbidden

ANY_NAME = "*"


class KnownHosts:
    """Pure ASGI, inside RequestEnvelope, which writes the refusal.

    An address of digits is always taken: no name was resolved, so none was rebound. So is a request without a Host or
    with an empty one, which no browser sends (a balancer's check in HTTP/1.0 does).
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = {_canonical(name) for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not all(self._is_known(host) for host in Headers(scope=scope).getlist("host")):
            raise Forbidden(
                "Without API keys this gateway is not called by this name (the Host header). "
                "TORCHBRIDGE_ALLOWED_HOSTS adds names."
            )
        await self._app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        name = _canonical(_without_port(host))
        # Browsers resolve localhost and what ends with it themselves (RFC 6761, section 6.3).
        is_local = name == "localhost" or name.endswith(".localhost")
        return not name or is_local or name in self._names or ANY_NAME in self._names or _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
