"""The gateway in a thread of `torchbridge serve`."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator

from adapter.process.stop_signals import StopSignals
from adapter.process.thread_priority import give_way
from adapter.serving.gateway_server import GatewayServer
from adapter.torchserve.server_process import StartFailed

_SECONDS_BETWEEN_LOOKS = 0.05

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def gateway_thread(
    server: GatewayServer, *listeners: socket.socket, signals: StopSignals, gives_way: bool
) -> Iterator[threading.Thread]:
    def run() -> None:
        if gives_way:
            give_way()
        server.run(sockets=list(listeners))

    # In a thread uvicorn leaves the signals to us.
    thread = threading.Thread(target=run, name="gateway", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise StartFailed("The gateway did not start.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        yield thread
    finally:
        server.should_exit = True
        wait_for_end(server, thread, signals)


def wait_for_end(server: GatewayServer, thread: threading.Thread, signals: StopSignals) -> None:
    """Waits, but not for ever: a gateway that hangs must not keep TorchServe from its end."""
    is_hurried = False
    latest = time.monotonic() + server.longest_end
    while thread.is_alive() and time.monotonic() < latest:
        if signals.is_urgent and not is_hurried:
            is_hurried, latest = True, time.monotonic() + server.hurry()
        thread.join(_SECONDS_BETWEEN_LOOKS)
    if thread.is_alive():
        _log.error("the gateway does not end, and is left as it is")
