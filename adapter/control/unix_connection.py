"""The way to a gateway of this machine. Needs nothing but Python: a health check takes it every few seconds."""

import socket
from http.client import HTTPConnection
from pathlib import Path

SOCKET_NAME = "control.sock"


class UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        """`timeout` is in seconds."""
        super().__init__("gateway", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
