"""How many connections there may be, and which of them gives way where there is no room for another."""

import logging
from collections import OrderedDict, defaultdict
from typing import Protocol

_log = logging.getLogger(__name__)


class LimitedConnection(Protocol):
    @property
    def address(self) -> str:
        """The caller's address, without the port."""

    def give_way(self) -> None:
        """Ends the connection at once."""


class ConnectionLimit:
    """At most `most` connections, of which those that wait for a whole request give way, the longest silent first.

    A caller sends its request at once: who only holds connections loses them before it loses its own. An address with
    more than half of `most` displaces its own ones; all that comes through one proxy may still have every connection.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[LimitedConnection] = set()
        self._waiting: OrderedDict[LimitedConnection, None] = OrderedDict()  # the longest silent first
        self._waiting_of: defaultdict[str, OrderedDict[LimitedConnection, None]] = defaultdict(OrderedDict)
        self._num_displaced = self._num_refused = 0
        self._is_full = False

    def admit(self, connection: LimitedConnection) -> bool:
        """Returns whether there is room for the connection, or could be made."""
        if len(self._open) >= self._most and not self._make_room(connection.address):
            self._num_refused += 1
            return False
        self._open.add(connection)
        self.waits(connection)
        return True

    def waits(self, connection: LimitedConnection) -> None:
        """Notes that bytes have come just now, and no whole request."""
        self._stop_waiting(connection)
        if connection in self._open:
            self._waiting[connection] = self._waiting_of[connection.address][connection] = None

    def works(self, connection: LimitedConnection) -> None:
        """Notes that its request is whole: its answer is on its way."""
        self._stop_waiting(connection)

    def closed(self, connection: LimitedConnection) -> None:
        self._open.discard(connection)
        self._stop_waiting(connection)
        if self._is_full and len(self._open) <= self._most // 2:
            gone, refused = self._num_displaced, self._num_refused
            _log.info("there is room for connections again: %d gave way, %d were refused", gone, refused)
            self._is_full, self._num_displaced, self._num_refused = False, 0, 0

    def _make_room(self, address: str) -> bool:
        if not self._is_full:
            self._is_full = True
            _log.warning("%d connections are open, and no more can be: those without a request give way", self._most)
        own = self._waiting_of.get(address, OrderedDict())
        longest_silent = next(iter(own if len(own) > self._most // 2 else self._waiting), None)
        if longest_silent is None:
            return False
        self._num_displaced += 1
        self._open.discard(longest_silent)
        self._stop_waiting(longest_silent)
        longest_silent.give_way()
        return True

    def _stop_waiting(self, connection: LimitedConnection) -> None:
        self._waiting.pop(connection, None)
        own = self._waiting_of[connection.address]
        own.pop(connection, None)
        if not own:
            del self._waiting_of[connection.address]
