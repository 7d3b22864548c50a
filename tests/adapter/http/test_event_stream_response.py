import asyncio
import time
from collections.abc import AsyncGenerator

import pytest

from adapter.call import CacheOutcome, Call
from adapter.errors import GenerationFailed, ShuttingDown
from adapter.event_stream import EventDecoder
from adapter.http.event_stream_response import EventStreamResponse, NativeEncoding
from adapter.http.shutdown import Shutdown
from adapter.schema import DeltaEvent, ErrorEvent, StreamEvent
from tests.adapter.gateway_calls import FIRST, START
from tests.fakes import wait_for
from tests.held_clock import HeldClock


class Server:
    """The ASGI server's side: keeps what is sent, and its caller never leaves."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []
        self.has_new = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: dict[str, object]) -> None:
        self.sent.append(message)
        self.has_new.set()

    async def wait_for_body(self, piece: bytes) -> None:
        while piece not in self.body:
            self.has_new.clear()
            await self.has_new.wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def events(self) -> list[StreamEvent]:
        return list(EventDecoder().feed(self.body))


class StalledServer(Server):
    """Its caller reads only the beginning: what comes after waits, as with uvicorn, until it is given up."""

    async def send(self, message: dict[str, object]) -> None:
        if b"Hello" in self.body:
            await asyncio.Event().wait()
        await super().send(message)


async def arrive(*steps: list[StreamEvent] | asyncio.Event) -> AsyncGenerator[list[StreamEvent], None]:
    for step in steps:
        if isinstance(step, list):
            yield step
        else:
            await step.wait()


def respond(
    server: Server,
    arrivals: AsyncGenerator[list[StreamEvent], None],
    *,
    shutdown: Shutdown | None = None,
    heartbeat: float = 60,
    cache: CacheOutcome | None = None,
    deadline: float = float("inf"),
) -> asyncio.Task[None]:
    call = Call("request-1", time.monotonic(), deadline, cache=cache or CacheOutcome())
    response = EventStreamResponse(
        arrivals, call, shutdown or Shutdown(), heartbeat=heartbeat, encoding=NativeEncoding()
    )
    return asyncio.create_task(response({}, server.receive, server.send))


async def test_a_silent_stream_beats(clock: HeldClock) -> None:
    server, go_on = Server(), asyncio.Event()
    response = respond(server, arrive([START], [FIRST], go_on), heartbeat=10)
    await server.wait_for_body(b"Hello")
    for num_beats in range(3):
        assert server.body.count(b": ping\n\n") == num_beats
        await clock.pass_by(10)
    go_on.set()
    await response
    assert [event.type for event in server.events] == ["start", "delta"]
    assert server.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_nothing_beats_before_the_first_text(clock: HeldClock) -> None:
    server, go_on = Server(), asyncio.Event()
    response = respond(server, arrive([START], go_on, [FIRST]), heartbeat=10)
    await clock.pass_by(100)
    assert not server.sent
    go_on.set()
    await response
    assert server.sent[0]["status"] == 200


async def test_a_stream_that_has_ended_does_not_beat(clock: HeldClock) -> None:
    server = Server()
    await respond(server, arrive([START], [FIRST]), heartbeat=10)
    num_sent = len(server.sent)
    await clock.pass_by(100)
    assert len(server.sent) == num_sent


async def test_a_shutdown_ends_a_stream_with_an_event() -> None:
    server, shutdown = Server(), Shutdown()
    response = respond(server, arrive([START], [FIRST], asyncio.Event()), shutdown=shutdown)
    await server.wait_for_body(b"Hello")
    shutdown.begin()
    shutdown.end()
    await response
    last = server.events[-1]
    assert isinstance(last, ErrorEvent)
    assert (last.problem.code, last.problem.request_id) == ("shutting_down", "request-1")
    assert server.sent[-1]["more_body"] is False


async def test_a_shutdown_before_the_first_text_is_a_true_status() -> None:
    server, shutdown = Server(), Shutdown()
    response = respond(server, arrive([START], asyncio.Event()), shutdown=shutdown)
    shutdown.begin()
    shutdown.end()
    with pytest.raises(ShuttingDown):
        await response
    assert not server.sent


async def test_a_failure_after_text_is_the_last_event() -> None:
    async def fail() -> AsyncGenerator[list[StreamEvent], None]:
        yield [START, FIRST]
        raise GenerationFailed("no")

    server = Server()
    await respond(server, fail())
    assert [event.type for event in server.events] == ["start", "delta", "error"]
    assert server.sent[-1]["body"]  # with the end of the answer: who goes away in between had a whole stream
    assert server.sent[-1]["more_body"] is False


@pytest.mark.parametrize("heartbeat", [1, 60], ids=["with a heartbeat", "without"])
@pytest.mark.parametrize("is_last", [True, False], ids=["on the last text", "with more to come"])
async def test_a_caller_who_does_not_read_ends_the_generation_at_the_deadline(
    clock: HeldClock, heartbeat: float, *, is_last: bool
) -> None:
    server, is_closed = StalledServer(), asyncio.Event()

    async def texts() -> AsyncGenerator[list[StreamEvent], None]:
        try:
            yield [START, FIRST]
            if not is_last:
                yield [FIRST]
        finally:
            is_closed.set()

    response = respond(server, texts(), heartbeat=heartbeat, deadline=clock.now + 10)
    await server.wait_for_body(b"Hello")
    await clock.pass_by(heartbeat)
    await clock.pass_by(10)
    await wait_for(response.done)
    await response
    assert is_closed.is_set()
    assert [event.type for event in server.events] == ["start", "delta"]
    assert server.sent[-1]["more_body"] is True  # cut, so that nobody takes it for whole


async def test_a_failure_that_a_caller_does_not_read_is_given_up_too() -> None:
    async def fail() -> AsyncGenerator[list[StreamEvent], None]:
        yield [START, FIRST]
        raise GenerationFailed("nobody reads this")

    server = StalledServer()
    await respond(server, fail(), deadline=time.monotonic() - 1)
    assert [event.type for event in server.events] == ["start", "delta"]
    assert server.sent[-1]["more_body"] is True


async def test_what_the_cache_did_is_in_the_headers() -> None:
    server, outcome = Server(), CacheOutcome()

    async def hit() -> AsyncGenerator[list[StreamEvent], None]:
        outcome.status, outcome.age = "hit; ttl=50", 10
        yield [START, DeltaEvent(index=0, text="Hello")]

    await respond(server, hit(), cache=outcome)
    headers = dict(server.sent[0]["headers"])
    assert headers[b"cache-status"] == b"torchbridge; hit; ttl=50"
    assert headers[b"age"] == b"10"
