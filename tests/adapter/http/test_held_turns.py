"""What happens to a connection while what its caller has sent waits for its turn."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from adapter.http.connection_limit import ConnectionLimit
from adapter.http.http_metrics import HttpMetrics
from adapter.http.loop_budget import LoopBudget
from adapter.http.protocol import HttpProtocol
from adapter.http.shutdown import Shutdown
from adapter.serving.gateway_server import server_config
from tests.waiting import PATIENCE

REQUEST = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n"
TWO_LENGTHS = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n")


class HeldBudget(LoopBudget):
    """Nothing has its turn while they are held."""

    def __init__(self) -> None:
        super().__init__()
        self.is_held = False
        self.held: list[Callable[[], None]] = []

    def take(self, act: Callable[[], None]) -> bool:
        if not self.is_held:
            return super().take(act)
        self.held.append(act)
        return False

    def go_on(self) -> None:
        self.is_held = False
        for act in self.held:
            asyncio.get_running_loop().call_soon(self.take, act)


class Caller(NamedTuple):
    socket: socket.socket
    protocol: HttpProtocol
    budget: HeldBudget
    limit: ConnectionLimit

    async def send(self, content: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, content)

    async def read(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 10_000), PATIENCE)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()
    await Response()(scope, receive, send)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)


@pytest.fixture
async def caller(request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """Who has sent what the test asks for before the connection is accepted; with its turns held, where it does."""
    config = server_config(application)
    config.load()
    budget, limit = HeldBudget(), ConnectionLimit(1)
    first = getattr(request, "param", b"")
    budget.is_held = bool(first)
    protocol = HttpProtocol(
        config=config,
        server_state=ServerState(),
        app_state={},
        limit=limit,
        shutdown=Shutdown(),
        metrics=HttpMetrics(CollectorRegistry()),
        loop_budget=budget,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as theirs:
        theirs.sendall(first)
        theirs.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, listener.accept()[0])
        yield Caller(theirs, protocol, budget, limit)
        protocol.transport.abort()
        await until(lambda: protocol not in protocol.connections)


async def test_a_kept_connection_does_not_end_while_a_request_waits_for_its_turn(caller: Caller) -> None:
    await caller.send(REQUEST)
    assert (await caller.read()).startswith(b"HTTP/1.1 200")
    caller.budget.is_held = True
    await caller.send(REQUEST)
    await until(lambda: bool(caller.budget.held))
    caller.protocol.timeout_keep_alive_handler()
    caller.budget.go_on()
    assert (await caller.read()).startswith(b"HTTP/1.1 200")


@pytest.fixture
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpProtocol, "head_timeout", 0)


@pytest.mark.usefixtures("without_patience")
@pytest.mark.parametrize("caller", [REQUEST], indirect=True)
async def test_a_head_that_waits_for_its_turn_is_in_time(caller: Caller) -> None:
    await until(lambda: len(caller.budget.held) > 1)  # the head, and then the deadline
    caller.budget.go_on()
    assert (await caller.read()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("before", [b"", TWO_LENGTHS], ids=["a whole head", "a head of a body that was held"])
async def test_what_comes_after_the_last_answer_is_read(caller: Caller, before: bytes) -> None:
    if before:
        await caller.send(before)
    else:
        caller.protocol.send_400_response("")
    assert (await caller.read()).startswith(b"HTTP/1.1 400")
    caller.budget.is_held = True
    await caller.send(b"more")
    await until(lambda: bool(caller.budget.held))
    caller.budget.go_on()
    await until(caller.protocol.transport.is_reading)  # else what is unread would reset the connection


@pytest.mark.parametrize("fails_at", [1, 2], ids=["what came", "a body that was held"])
async def test_an_error_in_a_turn_ends_the_connection(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    handle, num_calls = caller.protocol.handle_events, 0

    def fail() -> None:
        nonlocal num_calls
        num_calls += 1
        if num_calls == fails_at:
            raise LookupError
        handle()

    monkeypatch.setattr(caller.protocol, "handle_events", fail)
    caller.budget.is_held = True
    await caller.send(CHUNKED)
    await until(lambda: bool(caller.budget.held))
    caller.budget.go_on()
    with contextlib.suppress(ConnectionResetError):
        assert await caller.read() == b""
    assert [type(each["exception"]) for each in told] == [LookupError]


async def test_a_head_is_refused_without_a_body(caller: Caller) -> None:
    await caller.send(CHUNKED.replace(b"POST", b"HEAD") + b"no chunk\r\n")
    answer = await caller.read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.endswith(b"\r\n\r\n")


async def test_who_has_left_makes_room_at_once(caller: Caller) -> None:
    caller.limit.works(caller.protocol)  # which does not give way
    caller.budget.is_held = True
    caller.socket.close()
    await until(lambda: bool(caller.budget.held))
    assert caller.limit.admit(caller.protocol)
    caller.budget.go_on()
