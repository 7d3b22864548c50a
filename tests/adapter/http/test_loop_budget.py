"""Who sends much, or with many others at once, waits for others' turns."""

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from urllib.parse import urlsplit

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adapter.http.connection import Connection
from adapter.http.loop_budget import LoopBudget
from tests.fakes import serving
from tests.waiting import PATIENCE

CALLERS = 60
REQUEST = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"


class CountedTurns:
    """An application that knows in which turn of the loop each request begins, and holds the loop for /hold."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()
        self.is_held, self.go_on = threading.Event(), threading.Event()
        self._turn = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with asyncio.TaskGroup() as group:
                counting = group.create_task(self._count_turns())
                for end in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{end}.complete"})
                counting.cancel()
            return
        if scope["path"] == "/hold":
            self.is_held.set()
            self.go_on.wait()
        else:
            self.begun[self._turn] += 1
        await Response()(scope, receive, send)

    async def _count_turns(self) -> None:
        while True:
            self._turn += 1
            await asyncio.sleep(0)


def test_requests_that_come_at_once_begin_a_few_in_each_turn() -> None:
    app = CountedTurns()
    with serving(app) as url, contextlib.ExitStack() as stack:
        address = urlsplit(url)
        place = address.hostname or "", address.port or 0
        callers = [stack.enter_context(socket.create_connection(place, PATIENCE)) for _ in range(CALLERS)]
        callers[0].sendall(REQUEST.replace(b"/", b"/hold", 1))
        app.is_held.wait()
        for caller in callers[1:]:
            caller.sendall(REQUEST)
        app.go_on.set()
        assert all(caller.makefile("rb").read().startswith(b"HTTP/1.1 200") for caller in callers)
    assert app.begun.total() == CALLERS - 1
    assert max(app.begun.values()) <= 8


async def test_acts_are_done_in_the_order_in_which_they_came() -> None:
    budget, done, are_all_done = LoopBudget(), [], asyncio.Event()
    for number in range(100):
        budget.take(lambda number=number: done.append(number))
    budget.take(are_all_done.set)
    turns_until = 0
    while not are_all_done.is_set():
        turns_until += 1
        await asyncio.sleep(0)
    assert done == list(range(100))
    assert turns_until > 10


async def test_an_act_that_takes_long_is_the_only_one_of_its_turn() -> None:
    times = iter(range(100))
    budget, done = LoopBudget(lambda: next(times)), []
    assert budget.take(lambda: done.append(0))
    assert not budget.take(lambda: done.append(1))
    assert not budget.take(lambda: done.append(2))
    seen = []
    for _ in range(3):
        await asyncio.sleep(0)
        seen.append(len(done))
    assert seen == [2, 3, 3]


async def test_an_act_that_raises_stops_no_other() -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    budget, is_done = LoopBudget(iter(range(100)).__next__), asyncio.Event()
    budget.take(lambda: None)
    budget.take([].pop)
    budget.take(is_done.set)
    await asyncio.wait_for(is_done.wait(), PATIENCE)
    assert isinstance(told[0]["exception"], IndexError)


@pytest.mark.parametrize("num_chunks", [1, 24, 25, 26, 300])
def test_a_body_in_many_chunks_is_read_in_many_turns(num_chunks: int) -> None:
    connection = Connection()
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.receive_data(b"1\r\na\r\n" * num_chunks + b"0\r\n\r\n")
    connection.next_event()
    num_turns = 0
    while connection.is_body_held:
        connection.is_body_held = False
        num_turns += 1
        num_read = 0
        while type(event := connection.next_event()).__name__ == "Data":
            num_read += 1
        assert num_read <= 25
    assert num_turns == num_chunks // 25 + 1
    assert type(event).__name__ == "EndOfMessage"
