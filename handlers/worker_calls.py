"""What TorchServe's worker does around every call of the handler, made cheaper: here a call is a step of the engine."""

import logging
import sys
from socket import socket

from ts.protocol import otf_message_handler

_MOST_AT_ONCE = 2**16  # bytes


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
    interpreter's lock away, which the engine's thread waits for and then holds.
    """
    otf_message_handler._retrieve_buffer = _BufferedRead()  # noqa: SLF001 - looked up anew at each read


class _BufferedRead:
    """Stands in for TorchServe's `_retrieve_buffer`; a worker has one connection in its life."""

    def __init__(self) -> None:
        self._received = bytearray()

    def __call__(self, connection: socket, length: int) -> bytearray:
        while len(self._received) < length:
            packet = connection.recv(_MOST_AT_ONCE)
            if not packet:
                sys.exit(0)  # as TorchServe's own does when Java is gone
            self._received += packet
        taken = self._received[:length]
        del self._received[:length]
        return taken
