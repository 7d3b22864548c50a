"""Connections that the kernel has taken, and uvicorn not yet, when a gateway stops to listen."""

import asyncio
import socket
import threading
from http.client import HTTPResponse

import pytest

from adapter.http.protocol import HttpProtocol
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind
from tests.waiting import PATIENCE, wait_until

LONG = 3_600  # seconds: longer than any test


class AcceptingLast(GatewayServer):
    """Is given a connection that was accepted just before it stops to listen, and that uvicorn has not seen yet."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.caller = socket.create_connection(listener.getsockname(), PATIENCE)
            accepted, _ = listener.accept()
        self.made = loop.create_task(loop.connect_accepted_socket(self.make_protocol, accepted))
        await super().shutdown(sockets)


@pytest.mark.parametrize("asks", [True, False])
def test_a_connection_that_was_accepted_last_is_served_or_told_of_the_end(
    monkeypatch: pytest.MonkeyPatch, *, asks: bool
) -> None:
    monkeypatch.setattr(HttpProtocol, "head_timeout", LONG)
    server = AcceptingLast(Settings(port=0, shutdown_delay=0, shutdown_grace=LONG))
    with bind("127.0.0.1", 0, "the gateway", "") as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        server.should_exit = True
        wait_until(lambda: hasattr(server, "caller"))
        with server.caller:
            if asks:
                server.caller.sendall(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            answer = HTTPResponse(server.caller)
            answer.begin()
            assert (answer.status, answer.headers["connection"]) == (200 if asks else 503, "close")
            answer.read()
        thread.join(PATIENCE)
        assert not thread.is_alive()
