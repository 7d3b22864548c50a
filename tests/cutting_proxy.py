"""A way to a server that breaks: each connection carries so many bytes of answers, and ends then."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.free_ports import free_port


@dataclass
class CuttingProxy:
    """`limit`: bytes of answers that a connection carries, or None for all. `carried`: what each one has carried."""

    host: str
    server: str
    limit: int | None = None
    carried: list[int] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # of the listener that is closed
            while True:
                caller, _ = listener.accept()
                self.carried.append(0)
                threading.Thread(target=self._carry, args=(caller, len(self.carried) - 1), daemon=True).start()

    def _carry(self, caller: socket.socket, number: int) -> None:
        address, _, port = self.server.partition(":")
        with caller, socket.create_connection((address, int(port))) as server:
            threading.Thread(target=_copy, args=(caller, server), daemon=True).start()
            with suppress(OSError):
                while block := server.recv(16_384):
                    room = len(block) if self.limit is None else self.limit - self.carried[number]
                    caller.sendall(block[:room])
                    self.carried[number] += len(block[:room])
                    if room < len(block):
                        break
                # The other thread waits for the caller: to close it here would not end it.
                caller.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(16_384):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def cutting_proxy(server: str) -> Iterator[CuttingProxy]:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        proxy = CuttingProxy(f"127.0.0.1:{listener.getsockname()[1]}", server)
        thread = threading.Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
