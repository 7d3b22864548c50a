"""Connections to TorchServe that serve one request after the other: a new one costs as much as all else of an answer.

One is kept only after a whole answer, up to the end of its body. TorchServe itself ends those of failures
(NettyUtils.java:197-200), and whoever leaves before the end ends his: that is how TorchServe learns of it.
"""

import asyncio

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

_UNUSED_FOR = 15.0  # seconds
_MOST_SPOILT = 1_000  # new connections are never spoilt, unless it is no HTTP server that answers
_END_TIMEOUT = 1.0  # seconds, from an answer's last event to its end, which TorchServe writes by itself right after


class KeptConnections(aiohttp.TCPConnector):
    """As many as there are requests at once.

    What comes while nothing is asked would pass for the answer to the next request: such a connection is ended. In
    some of its modes TorchServe sends failures twice.
    """

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=_UNUSED_FOR)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        for _ in range(_MOST_SPOILT):
            if connection.protocol is None or not connection.protocol.should_close:
                break
            connection.close()
            connection = await super().connect(req, traces, timeout)
        return connection


def keep_connection(response: aiohttp.ClientResponse) -> None:
    """For the next request, once the rest of `response` is there, of which the last event has come."""
    if not response.content.is_eof():
        timer = asyncio.get_running_loop().call_later(_END_TIMEOUT, response.close)
        response.content.on_eof(timer.cancel)
