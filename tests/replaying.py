"""Gives recorded answers byte by byte, and leaves each connection as TorchServe left it then."""

import socket
import socketserver
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from threading import Event, Thread

from tests.recorded_answer import RecordedAnswer

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, for no time at all


@contextmanager
def replaying(*answers: RecordedAnswer) -> Iterator[str]:
    """The address of a server that gives one answer per connection, and the last one from then on."""
    following = chain(answers, repeat(answers[-1]))
    is_over = Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the client may have seen enough
                _read_request(self.request)
                answer = next(following)
                self.request.sendall(answer.head + answer.body)
                if answer.ended == "open":
                    is_over.wait()
                elif answer.ended == "reset":
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            is_over.set()
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    def shutdown_request(self, request: socket.socket) -> None:
        request.close()  # the inherited one says goodbye first, which a reset does not


def _read_request(connection: socket.socket) -> None:
    head, _, body = _read_until(connection, lambda data: b"\r\n\r\n" in data).partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0]) - len(body) if lengths else 0
    _read_until(connection, lambda data: len(data) >= missing)


def _read_until(connection: socket.socket, is_enough: Callable[[bytes], bool]) -> bytes:
    data = b""
    while not is_enough(data):
        chunk = connection.recv(2**16)
        if not chunk:
            raise ConnectionError
        data += chunk
    return data
