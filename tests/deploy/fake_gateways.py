"""Gateways before which a balancer stands: what they are asked is seen, and what they answer is told to them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.waiting import PATIENCE

NUM_EVENTS = 3
REFUSAL = {"code": "overloaded", "status": 503}


@dataclass
class FakeGateway:
    port: int = 0
    refuses: bool = False
    num_refused: int = 0
    num_answered: int = 0
    was_read: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))  # an event of a stream
    has_begun: threading.Event = field(default_factory=threading.Event)  # what it will never answer
    headers: Message = field(default_factory=Message)  # of the last request
    was_left: threading.Event = field(default_factory=threading.Event)


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway = FakeGateway(self.server_port)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write: a balancer that goes elsewhere may close before a second one

    def do_GET(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.gateway.headers = self.headers
        if self.server.gateway.refuses:
            self.server.gateway.num_refused += 1
            self._answer(503, REFUSAL)
        elif self.path == "/generate/stream":
            self._stream()
        elif self.path == "/never":
            self._wait_until_left()
        else:
            self.server.gateway.num_answered += 1
            self._answer(200, {})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(NUM_EVENTS):
            self._send_chunk(b"data: %d\n\n" % number)
            assert self.server.gateway.was_read.acquire(timeout=PATIENCE)
        self._send_chunk(b"")

    def _send_chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
        self.wfile.flush()

    def _wait_until_left(self) -> None:
        self.server.gateway.has_begun.set()
        self.connection.settimeout(PATIENCE)
        try:
            left = self.connection.recv(1) == b""
        except ConnectionResetError:
            left = True
        if left:
            self.server.gateway.was_left.set()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Requests are seen by what they do to the gateway."""


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.gateway
        finally:
            server.shutdown()
            thread.join()
