"""What comes on a connection, over real sockets: read with patience, refused within limits."""

import json
import logging
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import h11
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from adapter.http.connection import Connection
from adapter.schema import Problem
from tests.adapter.http.raw_http import raw_answer
from tests.fakes import serving

CHUNKED = b"POST / HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


class Seen:
    """An application that says what it was asked, and reads the body unless it is told to refuse."""

    def __init__(self) -> None:
        self.refuses = False
        self.num_asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.num_asked += 1
        request = Request(scope, receive)
        told = {"path": scope["path"], "query": scope["query_string"].decode(), "host": request.headers.get("host")}
        if self.refuses:
            await JSONResponse(told, 401, {"connection": "close"})(scope, receive, send)
            return
        try:
            told["body"] = (await request.body()).decode()
        except ClientDisconnect:
            return
        await JSONResponse(told)(scope, receive, send)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def echo_address(seen: Seen) -> Iterator[str]:
    with serving(seen) as address:
        yield address


def told(address: str, request: bytes) -> dict[str, str]:
    answer, body = raw_answer(address, request)
    assert answer.status == 200
    return json.loads(body)


def refusal(address: str, request: bytes) -> tuple[int, str]:
    answer, body = raw_answer(address, request)
    problem = Problem.model_validate_json(body)
    assert answer.headers["connection"] == "close"
    assert answer.status == problem.status
    return problem.status, problem.code


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        ("http://other:81/a/b?c=d", "/a/b", "c=d", "other:81"),
        ("HTTP://other", "/", "", "other"),
        ("https://other?c=d", "/", "c=d", "other"),
        ("http://[::1]:80/a", "/a", "", "[::1]:80"),
        ("/http://other/a", "/http://other/a", "", "gateway"),
    ],
)
def test_a_target_with_a_host_asks_that_host(echo_address: str, target: str, path: str, query: str, host: str) -> None:
    answer = told(echo_address, f"GET {target} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    assert (answer["path"], answer["query"], answer["host"]) == (path, query, host)


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n"])
def test_an_empty_line_before_a_request_is_skipped(echo_address: str, before: bytes) -> None:
    assert told(echo_address, before + b"GET /a HTTP/1.1\r\nHost: gateway\r\n\r\n")["path"] == "/a"


def test_an_empty_line_after_a_body_is_skipped(echo_address: str) -> None:
    first = b"POST /a HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}\r\n"
    url = urlsplit(echo_address)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(first + b"GET /b HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
        answers = connection.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200") == 2


def test_an_empty_line_may_come_in_two_pieces() -> None:
    connection = Connection()
    seen = []
    for piece in (b"\r", b"\n", b"GET /a HTTP/1.1\r\nHost: gateway\r\n\r\n"):
        connection.receive_data(piece)
        seen.append(connection.next_event())
    assert seen[2].target == b"/a"


@pytest.mark.parametrize("num_bytes", [70_000, 300_000])
def test_a_head_without_an_end_is_too_large(echo_address: str, seen: Seen, num_bytes: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: gateway\r\n" + b"a:\r\n" * (num_bytes // 4)
    assert refusal(echo_address, request) == (431, "headers_too_large")
    assert seen.num_asked == 0


def test_a_whole_head_is_too_large_too() -> None:
    connection = Connection()
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: gateway\r\n" + b"a:\r\n" * 20_000 + b"\r\n")
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
    assert connection.refusal.code == "headers_too_large"


def test_an_address_without_an_end_is_too_long(echo_address: str) -> None:
    assert refusal(echo_address, b"GET /" + b"a" * 70_000) == (414, "address_too_long")


def test_two_ends_of_one_body_are_refused_before_anybody_reads_it(echo_address: str, seen: Seen) -> None:
    request = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n") + END
    assert refusal(echo_address, request) == (400, "malformed_http")
    assert seen.num_asked == 0


def test_the_head_of_a_chunk_without_an_end_is_no_head_of_a_request(echo_address: str) -> None:
    assert refusal(echo_address, CHUNKED + b"0" * 70_000) == (400, "malformed_http")


def test_chunks_of_one_byte_are_too_many(echo_address: str) -> None:
    assert refusal(echo_address, CHUNKED + b"1\r\na\r\n" * 1_100) == (400, "malformed_http")


@pytest.mark.parametrize(("chunk", "times"), [(b"1\r\na\r\n", 900), (b"50\r\n" + b"a" * 80 + b"\r\n", 3_000)])
def test_chunks_that_a_client_may_send_are_read(echo_address: str, chunk: bytes, times: int) -> None:
    assert len(told(echo_address, CHUNKED + chunk * times + END)["body"]) == chunk.count(b"a") * times


def test_the_chunks_of_one_body_are_not_those_of_the_next() -> None:
    connection = Connection()
    for _ in range(2):
        connection.receive_data(CHUNKED + b"1\r\na\r\n" * 900 + END)
        connection.next_event()
        while connection.is_body_held:
            connection.is_body_held = False
            while isinstance(connection.next_event(), h11.Data):
                pass
        connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()


def test_the_head_of_an_answer_goes_out_with_what_comes_next() -> None:
    connection = Connection()
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    connection.next_event()
    assert connection.send(h11.Response(status_code=200, headers=[("content-length", "2")])) == b""
    written = connection.send(h11.Data(data=b"ok"))
    assert written is not None
    assert (written.startswith(b"HTTP/1.1 200 "), written.endswith(b"\r\n\r\nok")) == (True, True)
    assert connection.send(h11.EndOfMessage()) == b""


def test_an_answer_without_a_body_has_its_head_sent() -> None:
    connection = Connection()
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    connection.next_event()
    connection.send(h11.Response(status_code=204, headers=[]))
    assert (connection.send(h11.EndOfMessage()) or b"").startswith(b"HTTP/1.1 204 ")


def test_who_asks_is_looked_at_before_a_body_in_chunks_is_read(echo_address: str, seen: Seen) -> None:
    seen.refuses = True
    answer, _ = raw_answer(echo_address, CHUNKED + b"1\r\na\r\n" * 1_100)
    assert (answer.status, seen.num_asked) == (401, 1)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"hello\r\n\r\n", id="no HTTP"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", id="h2c"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", id="web socket"
        ),
    ],
)
def test_what_anybody_sends_is_no_warning(
    echo_address: str, caplog: pytest.LogCaptureFixture, request_bytes: bytes
) -> None:
    caplog.set_level(logging.INFO)
    raw_answer(echo_address, request_bytes)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
