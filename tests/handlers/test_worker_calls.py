import logging
import socket
import struct
from collections.abc import Iterator

import pytest
from ts.protocol import otf_message_handler
from ts.protocol.otf_message_handler import retrieve_msg

from handlers.worker_calls import read_messages_at_once, silence_call_log


class CountingConnection:
    def __init__(self, connection: socket.socket, most: int = 2**16) -> None:
        self._connection = connection
        self._most = most
        self.reads = 0

    def recv(self, length: int) -> bytes:
        self.reads += 1
        return self._connection.recv(min(length, self._most))


@pytest.fixture(autouse=True)
def worker_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_retrieve_buffer", "_retrieve_request", "_retrieve_reqest_header"):
        monkeypatch.setattr(otf_message_handler, name, getattr(otf_message_handler, name))
    read_messages_at_once()


@pytest.fixture
def connections() -> Iterator[tuple[socket.socket, socket.socket]]:
    frontend, worker = socket.socketpair()
    with frontend, worker:
        yield frontend, worker


def sized(value: bytes) -> bytes:
    return struct.pack("!i", len(value)) + value


END = struct.pack("!i", -1)


def call(*requests: tuple[bytes, bytes | None]) -> bytes:
    """One call of the handler as Java writes it: an id, one header, and a body where the worker has none yet."""
    message = b"I"
    for request_id, body in requests:
        message += sized(request_id) + sized(b"accept") + sized(b"text/event-stream") + END
        if body is not None:
            message += sized(b"body") + sized(b"application/octet-stream") + sized(body)
        message += END
    return message + END


def bodies(messages: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(message["requestId"], message["parameters"]) for message in messages]


@pytest.mark.parametrize("most", [1, 7, 2**16])
def test_calls_are_read_as_they_were_sent_however_they_arrive(
    connections: tuple[socket.socket, socket.socket], most: int
) -> None:
    frontend, worker = connections
    frontend.sendall(call((b"first", b"{}"), (b"second", b"x" * 5_000)) + call((b"second", None)))
    connection = CountingConnection(worker, most)
    parameter = {"name": "body", "contentType": "application/octet-stream"}

    command, message = retrieve_msg(connection)
    assert command == b"I"
    assert bodies(message) == [
        (b"first", [{**parameter, "value": b"{}"}]),
        (b"second", [{**parameter, "value": b"x" * 5_000}]),
    ]
    assert message[0]["headers"] == [{"name": b"accept", "value": b"text/event-stream"}]
    assert bodies(retrieve_msg(connection)[1]) == [(b"second", [])]


def test_a_call_that_has_arrived_is_one_read(connections: tuple[socket.socket, socket.socket]) -> None:
    frontend, worker = connections
    frontend.sendall(call(*[(f"{number}".encode(), None) for number in range(64)]))
    connection = CountingConnection(worker)
    assert len(retrieve_msg(connection)[1]) == 64
    assert connection.reads == 1


@pytest.fixture
def headers_read(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    read: list[object] = []
    retrieve = otf_message_handler._retrieve_reqest_header

    def note(connection: socket.socket) -> object:
        read.append(header := retrieve(connection))
        return header

    monkeypatch.setattr(otf_message_handler, "_retrieve_reqest_header", note)
    return read


def test_what_the_last_call_said_of_a_row_is_not_read_again(
    connections: tuple[socket.socket, socket.socket], headers_read: list[object]
) -> None:
    frontend, worker = connections
    rows = [(f"{number}".encode(), None) for number in range(64)]
    frontend.sendall(call(*rows) + call(*rows[3:], (b"new", b"{}")) + call(*rows))
    retrieve_msg(worker)
    headers_read.clear()
    assert [request_id for request_id, _ in bodies(retrieve_msg(worker)[1])] == [
        *(each for each, _ in rows[3:]),
        b"new",
    ]
    assert len(headers_read) == 2  # of the new row: one header, and the end of the headers
    headers_read.clear()
    assert bodies(retrieve_msg(worker)[1]) == [(request_id, []) for request_id, _ in rows]
    assert len(headers_read) == 3 * 2  # of those that the call before had left out


def test_a_row_that_says_something_else_is_read(connections: tuple[socket.socket, socket.socket]) -> None:
    frontend, worker = connections
    parameter = {"name": "body", "contentType": "application/octet-stream", "value": b"{}"}
    frontend.sendall(call((b"first", None)) + call((b"first", b"{}")) + call((b"first", None)))
    assert [bodies(retrieve_msg(worker)[1]) for _ in range(3)] == [
        [(b"first", [])],
        [(b"first", [parameter])],
        [(b"first", [])],
    ]


def test_the_worker_ends_when_java_is_gone(connections: tuple[socket.socket, socket.socket]) -> None:
    frontend, worker = connections
    frontend.sendall(call((b"first", b"{}"))[:-1])
    frontend.close()
    with pytest.raises(SystemExit) as ended:
        retrieve_msg(worker)
    assert ended.value.code == 0


def test_a_call_leaves_no_line_in_the_log_but_our_own(caplog: pytest.LogCaptureFixture) -> None:
    root, own = logging.getLogger(), logging.getLogger("handlers")
    level, level_of_own = root.level, own.level
    try:
        root.setLevel(logging.INFO)
        silence_call_log()
        logging.info("Backend received inference at: %d", 0)  # noqa: LOG015 - as TorchServe does
        logging.getLogger("ts.metrics.caching_metric").info("[METRICS]PredictionTime")
        logging.getLogger("text_generation").warning("refused")
        logging.getLogger("handlers.background_compilation").info("compiled")
    finally:
        root.setLevel(level)
        own.setLevel(level_of_own)
    assert [record.getMessage() for record in caplog.records] == ["refused", "compiled"]
