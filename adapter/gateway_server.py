"""How the gateway is served: by uvicorn, without what it does for others than us."""

import asyncio
import gc
import math
import socket
from functools import partial
from typing import Any

import uvicorn

from adapter.control.app import TwoDoors
from adapter.file_descriptors import LoopFailures, most_connections, raise_descriptor_limit
from adapter.gateway import create_app
from adapter.http.connection_limit import ConnectionLimit
from adapter.http.protocol import HttpProtocol
from adapter.settings import Settings

_LAST_WORDS_SECONDS = 5  # for telling those whose answers have not ended within the grace


_MAX_BACKLOG = 512


def server_config(app: Any, *, max_connections: int = 1_000, **settings: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(HttpProtocol, limit=ConnectionLimit(max_connections)),  # type: ignore[arg-type]  # calls it only
        # asyncio accepts as many at once before the first of them is looked at: they come on top of the limit.
        backlog=min(_MAX_BACKLOG, max(1, max_connections // 4)),
        ws="none",
        proxy_headers=False,  # X-Forwarded-* would be believed of whoever calls from this machine
        server_header=False,
        access_log=False,  # RequestEnvelope's lines have the request ids
        log_config=None,  # its warnings go where all lines go
        log_level="warning",
        **settings,
    )


class GatewayServer(uvicorn.Server):
    """Tells the gateway of the end before it waits for the answers that are being written."""

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings, host_names=(settings.host, *settings.allowed_hosts))
        self._begin_shutdown = partial(app.state.shutdown.begin, settings.shutdown_grace)
        longest = math.ceil(settings.shutdown_grace) + _LAST_WORDS_SECONDS
        doors = TwoDoors(app, app.state.control)
        max_connections = min(settings.max_connections, most_connections(raise_descriptor_limit()))
        super().__init__(
            server_config(
                doors,
                max_connections=max_connections,
                timeout_graceful_shutdown=longest,
                timeout_keep_alive=settings.keep_alive_timeout,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(LoopFailures())
        # What is there stays. Looked through with each full collection it would hold the loop for a tenth of a second.
        gc.collect()
        gc.freeze()
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_MAX_BACKLOG)  # the kernel may keep more than asyncio accepts at once

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._begin_shutdown()
        await super().shutdown(sockets)
