"""HTTP as no client library would write it."""

import socket
from http.client import HTTPResponse
from urllib.parse import urlsplit


def raw_answer(address: str, request: bytes) -> tuple[HTTPResponse, bytes]:
    """The answer to `request`, sent as it is, and the answer's body."""
    url = urlsplit(address)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(request)
        answer = HTTPResponse(connection, method=request.partition(b" ")[0].decode())
        answer.begin()
        return answer, answer.read()
