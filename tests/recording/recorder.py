"""Sends requests to a TorchServe byte by byte and keeps its answers as fixtures."""

import json
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from adapter.torchserve.server_process import TorchServeProcess
from tests.recorded_answer import FIXTURES, Ended, RecordedAnswer

PATIENCE = 60.0  # seconds without a first byte that are a silence: a worker may have to come back before it
QUIET = 2.0  # seconds without a byte, after which an answer has ended and the connection is left open

Api = Literal["inference", "management"]

# What is another one in each run: so that a new recording differs from the last one only where TorchServe does.
CHANGING = (
    (rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"00000000-0000-0000-0000-000000000000"),
    (rb"\b[0-9a-f]{32}\b", b"0" * 32),
    (rb'"pid": \d+', b'"pid": 4711'),
    (rb'"startTime": "[^"]*"', b'"startTime": "2026-01-01T00:00:00.000Z"'),
    (rb'"memoryUsage": \d+', b'"memoryUsage": 0'),
)
NOWHERE = "/home/torchbridge"  # instead of the directory of this run
FIXED_PORT = {"inference": 8080, "management": 8081}


@dataclass
class Recorder:
    torchserve: TorchServeProcess

    def record(
        self, api: Api, name: str, request: str, body: object = None, *, authorization: str | None = ""
    ) -> RecordedAnswer:
        """Keeps the answer to `request` (a method and a target) as `name`.

        `authorization` is the whole header, the API's own key by default, and no header where it is None.
        """
        answer = self.send(api, request, body, authorization=authorization)
        answer.write(FIXTURES / api / f"{name}.json")
        status_line = answer.head.partition(b"\r\n")[0].decode()
        print(f"{api}/{name}: {status_line or 'silence'}, then {answer.ended}", flush=True)  # noqa: T201 - a script
        return answer

    def send(self, api: Api, request: str, body: object = None, *, authorization: str | None = "") -> RecordedAnswer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        headers = ["Host: localhost", f"Content-Length: {len(content)}"]
        if body is not None:
            headers.append("Content-Type: application/json")
        if authorization is not None:
            headers.append(f"Authorization: {authorization or 'Bearer ' + self.key(api)}")
        head = "".join(f"{line}\r\n" for line in [f"{request} HTTP/1.1", *headers, ""])
        received, ended = self._exchange(api, head.encode() + content)
        shown = request if body is None else f"{request} {content.decode()}"
        return RecordedAnswer(f"{shown.replace(str(self._directory), NOWHERE):.100}", *self._fix(received), ended)

    def key(self, api: Api) -> str:
        return self.torchserve.keys.inference_key() if api == "inference" else self.torchserve.keys.management_key()

    @property
    def _directory(self) -> Path:
        return self.torchserve.directory.path.parent

    def _exchange(self, api: Api, request: bytes) -> tuple[bytes, Ended]:
        url = urlsplit(self.torchserve.properties[f"{api}_address"])
        received = b""
        with socket.create_connection((url.hostname, url.port), timeout=PATIENCE) as connection:
            with suppress(ConnectionError):  # it may answer and hang up before it has read all
                connection.sendall(request)
            while True:
                try:
                    chunk = connection.recv(2**16)
                except ConnectionResetError:
                    return received, "reset"
                except TimeoutError:
                    return received, "open"
                if not chunk:
                    return received, "closed"
                received += chunk
                connection.settimeout(QUIET)

    def _fix(self, received: bytes) -> tuple[bytes, bytes]:
        received = received.replace(bytes(self._directory), NOWHERE.encode())
        for api, port in FIXED_PORT.items():
            own = urlsplit(self.torchserve.properties[f"{api}_address"]).port
            received = received.replace(f":{own}".encode(), f":{port}".encode())
        for pattern, replacement in CHANGING:
            received = re.sub(pattern, replacement, received)
        head, separator, body = received.partition(b"\r\n\r\n")
        length = f"content-length: {len(body)}".encode()
        return re.sub(rb"content-length: \d+", length, head) + separator, body
