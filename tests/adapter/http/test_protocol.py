"""What uvicorn answers or waits for by itself, before a request reaches the application."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from adapter.http.protocol import HttpProtocol
from adapter.schema import GenerationResponse, Problem
from tests.adapter.generation.held_generations import ANSWER, TEXT
from tests.adapter.http.raw_http import raw_answer
from tests.fakes import FakeInference, serving
from tests.waiting import wait_until

REFUSED = {
    "no HTTP at all": b"hello\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "a length that is none": b"POST /generate HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\n",
    "two lengths": b"POST /generate HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
    "an unknown encoding": b"POST /generate HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
    "a zero byte in a header": b"GET /livez HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
}


InTime = Callable[[Callable[[], None]], None]


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> InTime:
    """Does what has to be sent before a head's deadline: again, with more time, where the machine was too busy."""

    def do(send_and_read: Callable[[], None]) -> None:
        for seconds in (0.1, 1, 10):
            monkeypatch.setattr(HttpProtocol, "head_timeout", seconds)
            with suppress(ConnectionError):
                return send_and_read()
        raise AssertionError("nothing ever came in time")

    return do


def connect(address: str) -> socket.socket:
    url = urlsplit(address)
    return socket.create_connection((url.hostname, url.port), timeout=30)


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
def test_what_is_not_http_is_a_problem(address: str, request_bytes: bytes) -> None:
    answer, body = raw_answer(address, request_bytes)
    problem = Problem.model_validate_json(body)
    assert (answer.status, problem.code) == (400, "malformed_http")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == problem.request_id


def test_a_head_that_does_not_end_is_ended(address: str, in_time: InTime, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    def send_and_read() -> None:
        with connect(address) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\nx-slow: ")
            answer = HTTPResponse(connection)
            answer.begin()
            problem = Problem.model_validate_json(answer.read())
            assert (answer.status, problem.code) == (408, "request_timeout")
            assert connection.recv(1) == b""
        assert f"{problem.request_id} {problem.code}: {problem.detail}" in caplog.messages

    in_time(send_and_read)


def test_a_connection_on_which_nothing_comes_is_closed(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpProtocol, "head_timeout", 0.1)
    with connect(address) as connection:
        assert connection.recv(1) == b""


def test_the_head_of_a_further_request_has_the_same_deadline(address: str, in_time: InTime) -> None:
    def send_and_read() -> None:
        with connect(address) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
            first = HTTPResponse(connection)
            first.begin()
            assert first.read() == b'{"status":"ok"}'
            connection.sendall(b"GET /livez HTTP/1.1\r\n")
            second = HTTPResponse(connection)
            second.begin()
            assert second.status == 408

    in_time(send_and_read)


def test_a_request_that_is_whole_has_no_such_deadline(address: str, in_time: InTime, inference: FakeInference) -> None:
    async def outlast_a_connection_on_which_nothing_comes() -> None:
        url = urlsplit(address)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        assert await reader.read() == b""
        writer.close()

    body = b'{"prompt": "Once"}'
    inference.script = [outlast_a_connection_on_which_nothing_comes, *ANSWER]
    head = b"POST /generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"

    def send_and_read() -> None:
        answer, content = raw_answer(address, head % len(body) + body)
        assert (answer.status, GenerationResponse.model_validate_json(content).text) == (200, TEXT)

    in_time(send_and_read)


def test_what_a_proxy_would_say_of_the_caller_is_not_believed() -> None:
    seen = {}

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        seen.update(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with serving(application) as address:
        raw_answer(
            address, b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https\r\n\r\n"
        )
    assert (seen["client"][0], seen["scheme"]) == ("127.0.0.1", "http")


def test_who_does_not_read_is_waited_for_and_nobody_else() -> None:
    num_pieces, piece = 512, b" " * 2**17  # more than both ends of a socket take
    ended: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(num_pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        ended.append(scope["path"])

    with serving(application) as address, connect(address) as connection:
        connection.sendall(b"GET /late HTTP/1.1\r\nhost: a\r\n\r\n")
        late = HTTPResponse(connection)
        late.begin()
        _, read = raw_answer(address, b"GET /now HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        wait_until(lambda: ended != [])
        assert ended == ["/now"]
        assert len(read) == len(late.read()) == num_pieces * len(piece)
