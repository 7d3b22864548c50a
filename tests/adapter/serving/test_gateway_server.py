"""What callers and a proxy in front depend on: how long connections are kept, how they end, and that nothing waits."""

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPResponse

import pytest

from adapter.errors import GenerationFailed
from adapter.gateway import create_app
from adapter.http import protocol
from adapter.schema import Problem
from adapter.serving import gateway_server
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.ports import bind
from tests.adapter.gateway_calls import FIRST, START
from tests.fakes import FakeInference, FakeManagement
from tests.waiting import PATIENCE, wait_until

PROXIES_KEEP = 60  # seconds: nginx, and AWS's load balancers
NUM_AT_ONCE = 800  # connections: fewer than the gateway has by default
LONG = 3_600  # seconds: longer than any test

GENERATE = b'{"prompt": "Once"}'
HEAD_OF_GENERATE = b"POST /generate HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
HEAD_OF_GENERATE += b"content-length: %d\r\n\r\n" % len(GENERATE)


@dataclass
class Running:
    server: GatewayServer
    port: int
    thread: threading.Thread
    connections: list[HTTPConnection] = field(default_factory=list)

    def connect(self) -> HTTPConnection:
        self.connections.append(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE))
        self.connections[-1].connect()
        return self.connections[-1]

    def listens(self) -> bool:
        try:
            self.connect()
        except ConnectionError:
            return False
        return True

    def stop(self) -> None:
        self.server.should_exit = True


@pytest.fixture
def serve(
    monkeypatch: pytest.MonkeyPatch, inference: FakeInference, management: FakeManagement
) -> Iterator[Callable[..., Running]]:
    """Its settings as arguments, over a TorchServe that is not there."""
    registry = ModelRegistry(management, None)
    monkeypatch.setattr(gateway_server, "create_app", partial(create_app, inference=inference, registry=registry))
    started: list[Running] = []

    def start(**settings: float) -> Running:
        listener = bind("127.0.0.1", 0, "the gateway", "")
        server = GatewayServer(Settings(**settings))  # type: ignore[arg-type]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        started.append(Running(server, listener.getsockname()[1], thread))
        thread.start()
        wait_until(lambda: server.started)
        return started[-1]

    yield start
    for running in started:
        running.stop()
        running.server.hurry()
        for connection in running.connections:
            connection.close()
        running.thread.join(PATIENCE)
        assert not running.thread.is_alive()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is kept at the end is kept until the test has done with it."""
    monkeypatch.setattr(protocol, "_LAST_WAIT", LONG)


def is_connected(caller: socket.socket) -> bool:
    try:
        caller.getpeername()
    except OSError:
        return False
    return True


def ask(connection: HTTPConnection, method: str, path: str) -> HTTPResponse:
    connection.request(
        method, path, body=GENERATE if method == "POST" else None, headers={"content-type": "application/json"}
    )
    answer = connection.getresponse()
    answer.read()
    return answer


@pytest.mark.parametrize(("settings", "seconds"), [(Settings(), 75), (Settings(keep_alive_timeout=200), 200)])
def test_a_connection_outlives_those_that_proxies_keep(settings: Settings, seconds: int) -> None:
    kept = GatewayServer(settings).config.timeout_keep_alive
    assert kept == seconds > PROXIES_KEEP


def test_callers_of_one_moment_find_room_while_nothing_is_accepted(serve: Callable[..., Running]) -> None:
    """The kernel makes SYN cookies where there is none, and resets connections whose requests have been sent."""
    running = serve()
    going_on = threading.Event()
    running.server.servers[0].get_loop().call_soon_threadsafe(going_on.wait)
    with contextlib.ExitStack() as open_sockets:
        callers = [open_sockets.enter_context(socket.socket()) for _ in range(NUM_AT_ONCE)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", running.port))
        connected = [caller for caller in callers if is_connected(caller)]
        going_on.set()
    assert len(connected) == NUM_AT_ONCE


@pytest.fixture
def nothing_is_frozen() -> Iterator[None]:
    """As in a process without tests/conftest.py."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("nothing_is_frozen")
def test_what_was_imported_is_not_looked_through_while_streams_wait() -> None:
    server = GatewayServer(Settings(port=0))
    with bind("127.0.0.1", 0, "the gateway", "") as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        looked_through = len(gc.get_objects())
        left_alone = gc.get_freeze_count()
        server.should_exit = True
        thread.join()
    assert left_alone > looked_through
    assert gc.get_freeze_count() < left_alone  # and the garbage of whoever goes on is found again


def test_what_its_process_has_frozen_stays_so(serve: Callable[..., Running]) -> None:
    before = gc.get_freeze_count()
    running = serve()
    while_it_runs = gc.get_freeze_count()
    running.stop()
    running.thread.join(PATIENCE)
    assert before >= while_it_runs >= gc.get_freeze_count() > 0  # some are deleted meanwhile


def test_before_it_stops_to_listen_it_serves_and_says_that_it_ends(serve: Callable[..., Running]) -> None:
    running = serve(shutdown_delay=LONG)
    kept = running.connect()
    assert ask(kept, "GET", "/readyz").headers["connection"] is None
    running.stop()
    wait_until(lambda: ask(running.connect(), "GET", "/readyz").status == 503)

    answers = [ask(kept, "POST", "/generate"), ask(running.connect(), "POST", "/generate")]
    answers.append(ask(running.connect(), "GET", "/nothing"))

    assert [answer.status for answer in answers] == [200, 200, 404]
    assert [answer.headers["connection"] for answer in answers] == ["close"] * 3


def test_the_time_in_which_it_still_listens_ends(serve: Callable[..., Running]) -> None:
    running = serve(shutdown_delay=0.2)
    running.stop()
    wait_until(lambda: not running.listens())


def test_who_is_in_a_hurry_waits_for_nothing(serve: Callable[..., Running], inference: FakeInference) -> None:
    has_begun = threading.Event()

    async def endless() -> None:
        has_begun.set()
        await asyncio.Event().wait()

    inference.script = [endless]
    running = serve(shutdown_delay=LONG, shutdown_grace=LONG)
    waiting = running.connect()
    waiting.request("POST", "/generate", body=GENERATE, headers={"content-type": "application/json"})
    assert has_begun.wait(PATIENCE)
    running.stop()
    running.server.hurry()

    answer = waiting.getresponse()

    assert (answer.status, Problem.model_validate_json(answer.read()).code) == (503, "shutting_down")
    running.thread.join(PATIENCE)
    assert not running.thread.is_alive()


@pytest.mark.usefixtures("patient")
def test_a_request_on_a_kept_connection_is_served_after_nothing_listens_any_more(
    serve: Callable[..., Running],
) -> None:
    running = serve()
    kept = running.connect()
    ask(kept, "GET", "/livez")
    running.stop()
    wait_until(lambda: not running.listens())

    answer = ask(kept, "POST", "/generate")

    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.usefixtures("patient")
def test_a_connection_whose_answer_had_begun_before_the_end_takes_one_more_request(
    serve: Callable[..., Running], inference: FakeInference
) -> None:
    """That answer did not say that it is the last one, and so the caller may ask again as soon as it has it."""
    has_begun, may_end = threading.Event(), threading.Event()

    async def long() -> None:
        has_begun.set()
        await asyncio.to_thread(may_end.wait, PATIENCE)
        inference.script = None

    inference.script = [START, FIRST, long, GenerationFailed("no")]
    running = serve(shutdown_grace=LONG)
    kept = running.connect()
    kept.request("POST", "/generate/stream", body=GENERATE, headers={"content-type": "application/json"})
    stream = kept.getresponse()
    assert stream.headers["connection"] is None
    assert has_begun.wait(PATIENCE)
    running.stop()
    wait_until(lambda: not running.listens())
    may_end.set()
    assert b"generation_failed" in stream.read()

    answer = ask(kept, "POST", "/generate")

    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_silent_connection_ends_with_an_answer_that_a_request_on_its_way_can_have(
    serve: Callable[..., Running],
) -> None:
    running = serve()
    kept = running.connect()
    ask(kept, "GET", "/livez")
    running.stop()
    assert kept.sock.recv(1, socket.MSG_PEEK) == b"H"  # it has ended, and the request comes too late

    kept.sock.sendall(HEAD_OF_GENERATE + GENERATE)
    answer = HTTPResponse(kept.sock)
    answer.begin()

    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert Problem.model_validate_json(answer.read()).retryable


@pytest.mark.usefixtures("patient")
def test_what_comes_while_a_connection_ends_takes_the_answer_from_nobody(serve: Callable[..., Running]) -> None:
    """To close a socket with bytes in it resets the connection, and the caller loses what it has not read yet."""
    running = serve()
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.recv(1, socket.MSG_PEEK) == b"H"  # the refusal is here, and not read
        for _ in range(100):
            connection.sendall(HEAD_OF_GENERATE + GENERATE)
        answer = HTTPResponse(connection)
        answer.begin()
        assert Problem.model_validate_json(answer.read()).code == "malformed_http"
        assert connection.recv(1) == b""
