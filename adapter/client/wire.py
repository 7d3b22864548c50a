"""The connections that are kept between calls, and how another thread or task cuts the one that a call is using.

The library keeps connections in a pool and does not say, before an answer begins, which of them a request goes over. So
a pool here has one connection each, and whoever waits for the first text of an answer can be freed by its socket.
"""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from adapter.client.errors import StreamClosed

# Seconds. Shorter than the gateway (75) and what stands before it (nginx 75, ALB 60) keep them: a connection that they
# end while a request is on its way is an attempt lost.
KEPT_FOR = 45.0
_MOST_KEPT = 32

Pool = TypeVar("Pool")


class Connection(Generic[Pool]):
    """`pool` is the library's own, of one connection at most; `stream` is what it now reads and writes."""

    def __init__(self, pool: Pool, owner: object) -> None:
        self.pool = pool
        self.owner = owner
        self.stream: Any = None  # the library's NetworkStream, or its twin for asyncio

    def shut_down(self) -> None:
        """Wakes the thread or task that waits on the socket, which closing it would not.

        It uses a second descriptor: sockets of TLS and of event loops have no such method, or another one.
        """
        of_stream = None if self.stream is None else self.stream.get_extra_info("socket")
        if of_stream is None:
            return
        try:
            with socket.fromfd(of_stream.fileno(), of_stream.family, of_stream.type) as same:
                same.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is closed already


class Connections(Generic[Pool]):
    """The connections that no call uses. Safe to share between threads, without a lock that a fork could find taken.

    make: makes a new pool. owner: the process or event loop that takes a connection now. One of another owner is
    never given.
    """

    def __init__(self, make: Callable[[], Pool], owner: Callable[[], object]) -> None:
        self._make = make
        self._owner = owner
        self._free: deque[Connection[Pool]] = deque()

    def take(self) -> Connection[Pool]:
        """The one that was used last, or a new one."""
        owner = self._owner()
        while connection := self._pop(self._free.pop):
            if connection.owner == owner:
                return connection
        return Connection(self._make(), owner)

    def keep(self, connection: Connection[Pool]) -> Connection[Pool] | None:
        """Keeps it until it is taken again. Returns one that is too many, if any: the caller closes its pool."""
        self._free.append(connection)
        too_many = self._pop(self._free.popleft) if len(self._free) > _MOST_KEPT else None
        return too_many if too_many and too_many.owner == connection.owner else None

    def take_all(self) -> Iterator[Connection[Pool]]:
        owner = self._owner()
        while connection := self._pop(self._free.pop):
            if connection.owner == owner:
                yield connection

    @staticmethod
    def _pop(pop: Callable[[], Connection[Pool]]) -> Connection[Pool] | None:
        try:
            return pop()
        except IndexError:  # another thread had the last one
            return None


class Wire:
    """The connection under one call, over all its attempts, and whether it was cut. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection[Any] | None = None
        self._is_busy = False
        self.is_cut = threading.Event()

    def enter(self) -> None:
        """Call it before work on the connection. Raises StreamClosed if it was cut."""
        with self._lock:
            self.check()
            self._is_busy = True

    def leave(self) -> None:
        with self._lock:
            self._is_busy = False

    def attach(self, connection: Connection[Any]) -> None:
        with self._lock:
            self._connection = connection
            self.check()

    def detach(self) -> None:
        """Call it before somebody else may use the connection."""
        with self._lock:
            self._connection = None

    def trace(self, event: str, information: dict[str, Any]) -> None:
        """Called by the library at each of its steps. Only a new connection matters."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                if self._connection is not None:
                    self._connection.stream = information["return_value"]
                self.check()

    async def trace_async(self, event: str, information: dict[str, Any]) -> None:
        self.trace(event, information)

    def cut(self) -> bool:
        """Ends waits on the connection, and every later use.

        Returns whether nobody is at work on it: then the caller has to close it.
        """
        with self._lock:
            self.is_cut.set()
            if self._is_busy and self._connection is not None:
                self._connection.shut_down()
            return not self._is_busy

    def give_up(self) -> None:
        """Ends a stream that was lost without a `close`: nothing can be awaited for it."""
        self.is_cut.set()
        if self._connection is not None:
            self._connection.shut_down()

    def check(self) -> None:
        """Raises StreamClosed if it was cut."""
        if self.is_cut.is_set():
            raise StreamClosed
