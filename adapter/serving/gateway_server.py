"""Serves the gateway by uvicorn, without what uvicorn does for others than us."""

import asyncio
import gc
import math
import socket
import time
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from adapter.control.app import TwoSockets
from adapter.control.rollout_route import RolloutEndpoint
from adapter.gateway import create_app
from adapter.http.connection_limit import ConnectionLimit
from adapter.http.http_metrics import HttpMetrics
from adapter.http.loop_budget import LoopBudget
from adapter.http.protocol import HttpProtocol
from adapter.http.shutdown import Shutdown
from adapter.process.file_descriptors import LoopFailures, most_connections, raise_descriptor_limit
from adapter.serving.tls import Tls
from adapter.settings import Settings

_LAST_WORDS_SECONDS = 5  # to tell callers whose answers have not ended within the grace
_SECONDS_BETWEEN_LOOKS = 0.1

# The kernel's own bound is lower where it must be. Of a full queue it makes SYN cookies, and then it resets connections
# whose callers have already sent their request (Linux, tcp_conn_request and tcp_v4_syn_recv_sock).
BACKLOG = 4_096
_ACCEPTED_PER_TURN = 8  # each takes 0.1 ms of this turn and the next


def server_config(
    app: Any,
    *,
    max_connections: int = 1_000,
    shutdown: Shutdown | None = None,
    metrics: HttpMetrics | None = None,
    **settings: Any,
) -> uvicorn.Config:
    protocol = partial(
        HttpProtocol,
        limit=ConnectionLimit(max_connections),
        shutdown=shutdown or Shutdown(),
        metrics=metrics or HttpMetrics(CollectorRegistry()),
        loop_budget=LoopBudget(),
    )
    return uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # calls it only
        # asyncio accepts as many at once before the first of them is looked at. They come on top of the limit, too.
        backlog=min(_ACCEPTED_PER_TURN, max(1, max_connections // 4)),
        ws="none",
        proxy_headers=False,  # ForwardedHeaders reads them: uvicorn would believe every caller on this machine
        server_header=False,
        access_log=False,  # RequestEnvelope's lines have the request ids
        log_config=None,  # its warnings go where all lines go
        log_level="warning",
        **settings,
    )


class GatewayServer(uvicorn.Server):
    """Ends in three steps, so that a balancer in front loses no request, and `hurry` makes them one.

    For `shutdown_delay` seconds it still serves, but says at /readyz that it is not ready, and with each answer that
    the connection ends. Then nothing listens any more, kept connections end last (HttpProtocol), and what runs has
    `shutdown_grace` seconds. What has not ended by then is told so.
    """

    def __init__(self, settings: Settings, app: FastAPI | None = None) -> None:
        """`app`: of create_app, in place of the one that the settings describe."""
        app = app or create_app(settings, host_names=(settings.host, *settings.allowed_hosts))
        self.rollout_endpoint: RolloutEndpoint = app.state.rollout_endpoint
        self._end: Shutdown = app.state.shutdown
        self._delay, self._grace = settings.shutdown_delay, settings.shutdown_grace
        self._listens_until = 0.0  # time.monotonic()
        self._is_hurried = False
        self._has_frozen = False
        self._tls = Tls.configured(settings.tls_certificate, settings.tls_key)
        app_of_sockets = TwoSockets(app, app.state.control)
        max_connections = min(settings.max_connections, most_connections(raise_descriptor_limit()))
        super().__init__(
            server_config(
                app_of_sockets,
                max_connections=max_connections,
                shutdown=self._end,
                metrics=app.state.http_metrics,
                timeout_graceful_shutdown=math.ceil(settings.shutdown_grace) + _LAST_WORDS_SECONDS,
                timeout_keep_alive=settings.keep_alive_timeout,
            )
        )

    @property
    def longest_end(self) -> float:
        """Seconds from `should_exit` on, unless it hangs."""
        return self._delay + self._grace + 2 * _LAST_WORDS_SECONDS

    def hurry(self) -> float:
        """Ends what is still waited for, from any thread; returns the seconds that it takes unless it hangs."""
        self._is_hurried = True
        return 2 * _LAST_WORDS_SECONDS

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.hurry()
        else:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(LoopFailures())
        # Objects of now stay. Looking through them in each full collection would hold the loop for a tenth of a second.
        if not gc.get_freeze_count():  # else whoever runs this process has frozen them
            gc.collect()
            gc.freeze()
            self._has_frozen = True
        listeners = sockets or []
        for listener in listeners:
            listener.listen(BACKLOG)  # connections are kept from now on, where `started` is seen
        await super().startup([])
        for listener in listeners:
            self.servers.append(await self._accept_at(listener))
            listener.listen(BACKLOG)  # the kernel may keep more than asyncio accepts at once

    async def _accept_at(self, listener: socket.socket) -> asyncio.Server:
        """Like uvicorn's own, which would give TLS to all sockets or none: the control socket is a file here."""
        tls = None if self._tls is None or listener.family == socket.AF_UNIX else self._tls.context
        return await asyncio.get_running_loop().create_server(
            self.make_protocol,
            sock=listener,
            backlog=self.config.backlog,
            ssl=tls,
            ssl_handshake_timeout=HttpProtocol.head_timeout if tls else None,
        )

    def make_protocol(self) -> asyncio.Protocol:
        """Of a connection that is accepted, as uvicorn makes it."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) and self._is_delay_over()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end.begin()
        self._end.stop_listening()
        self._end.end_after(self._grace)
        hurrying = asyncio.create_task(self._end_when_hurried())
        try:
            await super().shutdown(sockets)
        finally:
            hurrying.cancel()
            if self._has_frozen:
                gc.unfreeze()  # if this process goes on, its garbage is found again

    def _is_delay_over(self) -> bool:
        if not self._end.has_begun:
            self._end.begin()
            self._listens_until = time.monotonic() + self._delay
        return self._is_hurried or time.monotonic() >= self._listens_until

    async def _end_when_hurried(self) -> None:
        while not self._is_hurried:  # noqa: ASYNC110 - which another thread says, or a signal handler
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        self._end.end()
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        self.force_exit = True
