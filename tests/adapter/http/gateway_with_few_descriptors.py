"""A gateway in a process that may have 160 file descriptors, for tests: prints its port, logs to the standard error.

At a line on its standard input it takes all descriptors that are left, answers with their number, and at another one
gives them back.
"""

import contextlib
import logging
import os
import resource
import sys
import threading

from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind
from tests.waiting import wait_until

NUM_DESCRIPTORS = 160


def take_all() -> list[int]:
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


def main() -> None:
    soft = 100  # which is raised to the hard one
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, NUM_DESCRIPTORS))
    logging.basicConfig(level=logging.WARNING)
    server = GatewayServer(Settings(port=0))
    with bind("127.0.0.1", 0, "the gateway", "") as listener:
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        wait_until(lambda: server.started)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while sys.stdin.readline():
            taken = take_all()
            sys.stdout.write(f"{len(taken)}\n")
            sys.stdout.flush()
            sys.stdin.readline()
            for descriptor in taken:
                os.close(descriptor)


if __name__ == "__main__":
    main()
