"""Makes what TorchServe's worker does around every call of the handler cheaper: here a call is a step of the engine."""

import logging
import struct
import sys
from collections.abc import Callable
from socket import socket
from typing import Any

from ts.protocol import otf_message_handler

_MOST_AT_ONCE = 2**16  # bytes
_INT = struct.Struct("!i")


def silence_call_log() -> None:
    """Keeps two lines of each call from standard output, where Java would read, parse and drop them.

    They are "Backend received inference at" (otf_message_handler.py:37), which the root logger itself writes, and
    "[METRICS]PredictionTime" with the ids of all live requests (caching_metric.py:108). Warnings still come through,
    and so does what our own code says.
    """
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("handlers").setLevel(logging.INFO)


def read_messages_at_once() -> None:
    """Takes what has arrived in one piece where TorchServe asks the socket for every number and every word.

    Each call names every live request anew with its headers, some 30 reads for each of them, and every read gives the
    interpreter's lock away, which the engine's thread waits for and then holds. What the last call said already is not
    even looked at.
    """
    reads = _BufferedRead()
    otf_message_handler._retrieve_buffer = reads  # noqa: SLF001 - both are looked up anew at each use
    otf_message_handler._retrieve_request = _RowRead(reads, otf_message_handler._retrieve_request)  # noqa: SLF001


class _BufferedRead:
    """Stands in for TorchServe's `_retrieve_buffer`; a worker has one connection in its life."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.taken = bytearray()  # since somebody has cleared it

    def __call__(self, connection: socket, length: int) -> bytearray:
        while len(self.received) < length:
            packet = connection.recv(_MOST_AT_ONCE)
            if not packet:
                sys.exit(0)  # as TorchServe's own does when Java is gone
            self.received += packet
        taken = self.received[:length]
        del self.received[:length]
        self.taken += taken
        return taken


class _RowRead:
    """Stands in for TorchServe's `_retrieve_request`, of which it makes use for what is new.

    A row that begins with the very bytes of one of the last call is that one. It has no body, which comes once, and the
    handler asks for no headers.
    """

    def __init__(self, reads: _BufferedRead, retrieve: Callable[[socket], dict[str, Any] | None]) -> None:
        self._reads = reads
        self._retrieve = retrieve
        self._known: dict[bytes, bytes] = {}  # the rows of the last call, by their beginnings up to the id
        self._read: dict[bytes, bytes] = {}  # those of this one

    def __call__(self, connection: socket) -> dict[str, Any] | None:
        beginning = self._next_beginning()
        row = self._known.get(beginning)
        if row is not None and self._reads.received.startswith(row):
            del self._reads.received[: len(row)]
            self._read[beginning] = row
            return {"requestId": beginning[_INT.size :], "headers": [], "parameters": []}
        self._reads.taken.clear()
        request = self._retrieve(connection)
        if request is None:
            self._known, self._read = self._read, {}
        elif not request["parameters"]:
            self._read[_INT.pack(len(request["requestId"])) + request["requestId"]] = bytes(self._reads.taken)
        self._reads.taken.clear()
        return request

    def _next_beginning(self) -> bytes:
        """The beginning of the next row, as far as it has arrived."""
        received = self._reads.received
        if len(received) < _INT.size:
            return b""
        return bytes(received[: _INT.size + max(0, _INT.unpack_from(received)[0])])
