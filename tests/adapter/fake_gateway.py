"""A server in a gateway's place, whose answer a test writes itself, up to how it breaks off."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from adapter.event_stream import encode_event
from adapter.schema import StreamEvent


@dataclass
class Exchange:
    """One request, and the ways to answer it. Its answers have no chunks: their end is the connection's."""

    http: BaseHTTPRequestHandler
    body: bytes
    caller_left: Event = field(default_factory=Event)

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.http.headers.items()}

    @property
    def target(self) -> str:
        return f"{self.http.command} {self.http.path}"

    def begin(self, status: int, content_type: str, **headers: object) -> None:
        self.http.send_response(status)
        for name, value in {"content_type": content_type, **headers}.items():
            self.http.send_header(name.replace("_", "-"), str(value))
        self.http.end_headers()

    def answer(self, status: int, body: object, content_type: str = "application/json", **headers: object) -> None:
        self.begin(status, content_type, **headers)
        self.http.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

    def send(self, *pieces: StreamEvent | bytes) -> None:
        self.http.wfile.write(b"".join(piece if isinstance(piece, bytes) else encode_event(piece) for piece in pieces))

    def begin_stream(self, *pieces: StreamEvent | bytes) -> None:
        self.begin(200, "text/event-stream; charset=utf-8")
        self.send(*pieces)

    def wait_until_the_caller_leaves(self) -> None:
        while self.http.connection.recv(1):
            pass
        self.caller_left.set()


Play = Callable[[Exchange], None]


@dataclass
class FakeGateway:
    url: str
    exchanges: list[Exchange] = field(default_factory=list)


def answers(status: int, body: object, content_type: str = "application/json", **headers: object) -> Play:
    return lambda exchange: exchange.answer(status, body, content_type, **headers)


@contextmanager
def fake_gateway(play: Play, tls: ssl.SSLContext | None = None) -> Iterator[FakeGateway]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            exchange = Exchange(self, self.rfile.read(int(self.headers.get("content-length", 0))))
            gateway.exchanges.append(exchange)
            play(exchange)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gateway = FakeGateway(f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}")
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
