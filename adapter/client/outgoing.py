"""The parts that both clients give to the HTTP library."""

import logging
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx2

from adapter.client.answers import Head
from adapter.client.errors import TimedOut
from adapter.client.request import Request
from adapter.client.wire import KEPT_FOR

LIMITS = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_FOR)
# Seconds for what follows the last event of a stream, before its connection is given up. The gateway sends it at once.
LAST_WAIT = 0.5

_log = logging.getLogger("adapter.client")


def tls_context(url: str, *, trust_env: bool) -> ssl.SSLContext:
    """One context for all connections, since loading certificates takes milliseconds. Plain HTTP loads none."""
    if url.lower().startswith("https:"):
        return httpx2.create_ssl_context(trust_env=trust_env)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def outgoing(request: Request, trace: Callable[[str, dict[str, Any]], object]) -> httpx2.Request:
    """Made by hand and not by the library's client, which would add cookies and ask for compressed answers."""
    timeouts = {
        "connect": request.connect_timeout,
        "read": request.read_timeout,
        "write": request.read_timeout,
        "pool": None,
    }
    return httpx2.Request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.content,
        extensions={"timeout": timeouts, "trace": trace},
    )


def head_of(response: httpx2.Response, url: str) -> Head:
    return Head(url, response.status_code, response.reason_phrase, response.headers)


class Watch:
    """The time that one attempt takes."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._began_at = time.monotonic()

    def check(self) -> None:
        """Raises TimedOut after the request's `limit`."""
        if self._request.limit is not None and time.monotonic() - self._began_at > self._request.limit:
            raise TimedOut(f"The answer of {self._request.url} took too long.", url=self._request.url)

    def log(self, head: Head) -> None:
        seconds = time.monotonic() - self._began_at
        _log.debug("%s %s %d %s %.3f s", self._request.method, head.url, head.status, head.request_id, seconds)
