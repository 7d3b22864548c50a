"""How the gateway is served: by uvicorn, without what it does for others than us."""

import math
import socket
from functools import partial
from typing import Any

import uvicorn

from adapter.control.app import TwoDoors
from adapter.gateway import create_app
from adapter.http.protocol import HttpProtocol
from adapter.settings import Settings

_LAST_WORDS_SECONDS = 5  # for telling those whose answers have not ended within the grace


def server_config(app: Any, **settings: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=HttpProtocol,
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
        super().__init__(
            server_config(doors, timeout_graceful_shutdown=longest, timeout_keep_alive=settings.keep_alive_timeout)
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._begin_shutdown()
        await super().shutdown(sockets)
