import asyncio

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from adapter.errors import PayloadTooLarge, RequestTimeout
from adapter.http.limited_body import LimitedBody
from tests.held_clock import HeldClock

CHUNKED = {"transfer-encoding": "chunked"}
PIECE = {"type": "http.request", "body": b" " * 10, "more_body": True}


class Sender:
    """Sends a piece every `pause` seconds, for ever; where it `is_ahead`, each is there when it is asked for."""

    def __init__(self, clock: HeldClock, pause: float, *, is_ahead: bool = False) -> None:
        self._clock = clock
        self._pause = pause
        self._is_ahead = is_ahead
        self.num_sent = 0

    async def receive(self) -> Message:
        if self._is_ahead:
            self._clock.move(self._pause)
        else:
            await self._clock.pass_by(self._pause)
        self.num_sent += 1
        assert self.num_sent < 1_000, "nobody stops me"
        return PIECE


def limited(receive: Receive, headers: dict[str, str], max_bytes: int = 100) -> LimitedBody:
    """Due within 10 seconds."""
    return LimitedBody(receive, Headers(headers), max_bytes, deadline=asyncio.get_running_loop().time() + 10)


async def read(body: LimitedBody) -> int:
    num_bytes = 0
    while not body.is_complete:
        num_bytes += len((await body.receive())["body"])
    return num_bytes


async def test_a_body_within_its_limits_goes_through() -> None:
    sizes = iter([60, 40])

    async def receive() -> Message:
        size = next(sizes)
        return {"type": "http.request", "body": b" " * size, "more_body": size == 60}

    body = limited(receive, {"content-length": "100"})
    assert not body.is_complete
    assert await read(body) == 100


async def test_nothing_is_read_of_a_body_that_announces_too_much(clock: HeldClock) -> None:
    sender = Sender(clock, pause=0)
    with pytest.raises(PayloadTooLarge):
        await limited(sender.receive, {"content-length": "101"}).receive()
    assert sender.num_sent == 0


async def test_a_body_of_unknown_length_is_read_up_to_the_limit(clock: HeldClock) -> None:
    sender = Sender(clock, pause=0)
    with pytest.raises(PayloadTooLarge):
        await read(limited(sender.receive, CHUNKED))
    assert sender.num_sent == 11


async def test_a_body_that_drips_is_given_up_at_the_deadline(clock: HeldClock) -> None:
    sender = Sender(clock, pause=0.5)
    with pytest.raises(RequestTimeout):
        await read(limited(sender.receive, CHUNKED, max_bytes=10_000))
    assert sender.num_sent == 19  # the next one would have come at the deadline


async def test_waiting_for_the_callers_departure_has_no_deadline(clock: HeldClock) -> None:
    async def leave() -> Message:
        await clock.pass_by(20)
        return {"type": "http.disconnect"}

    body = limited(leave, {})
    assert body.is_complete
    assert (await body.receive())["type"] == "http.disconnect"


@pytest.mark.parametrize(
    ("pause", "is_ahead", "num_read"),
    [
        pytest.param(0.125, True, {8, 9}, id="what is there already"),
        pytest.param(0.125, False, {7}, id="what comes bit by bit"),
        pytest.param(100, False, {0}, id="what does not come"),
    ],
)
async def test_reads_on_for_a_second_only(
    clock: HeldClock, pause: float, *, is_ahead: bool, num_read: set[int]
) -> None:
    sender = Sender(clock, pause, is_ahead=is_ahead)
    await limited(sender.receive, CHUNKED).discard()
    assert sender.num_sent in num_read
