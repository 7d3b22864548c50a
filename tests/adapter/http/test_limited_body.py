import asyncio
import time

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from adapter.errors import PayloadTooLarge, RequestTimeout
from adapter.http.limited_body import LimitedBody

CHUNKED = {"transfer-encoding": "chunked"}


class Sender:
    """Sends `size` bytes at a time, for ever, after `pause` seconds each."""

    def __init__(self, size: int = 10, pause: float = 0) -> None:
        self._size = size
        self._pause = pause
        self.num_sent = 0

    async def receive(self) -> Message:
        if self._pause:
            await asyncio.sleep(self._pause)
        self.num_sent += 1
        assert self.num_sent < 1_000_000, "nobody stops me"
        return {"type": "http.request", "body": b" " * self._size, "more_body": True}


def limited(receive: Receive, headers: dict[str, str], seconds: float = 30) -> LimitedBody:
    return LimitedBody(receive, Headers(headers), max_bytes=100, deadline=asyncio.get_running_loop().time() + seconds)


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


async def test_nothing_is_read_of_a_body_that_announces_too_much() -> None:
    sender = Sender()
    with pytest.raises(PayloadTooLarge):
        await limited(sender.receive, {"content-length": "101"}).receive()
    assert sender.num_sent == 0


async def test_a_body_of_unknown_length_is_read_up_to_the_limit() -> None:
    sender = Sender(size=10)
    with pytest.raises(PayloadTooLarge):
        await read(limited(sender.receive, CHUNKED))
    assert sender.num_sent == 11


async def test_a_body_that_drips_is_given_up_at_the_deadline() -> None:
    sender = Sender(size=1, pause=0.02)
    started_at = time.monotonic()
    with pytest.raises(RequestTimeout):
        await read(limited(sender.receive, CHUNKED, seconds=0.1))
    assert 0.1 <= time.monotonic() - started_at < 1


async def test_waiting_for_the_callers_departure_has_no_deadline() -> None:
    async def leave() -> Message:
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    body = limited(leave, {}, seconds=0.01)
    assert body.is_complete
    assert (await body.receive())["type"] == "http.disconnect"


@pytest.mark.parametrize("pause", [0, 0.01, 100])
async def test_reads_on_for_a_moment_only(monkeypatch: pytest.MonkeyPatch, pause: float) -> None:
    monkeypatch.setattr("adapter.http.limited_body._SECONDS_OF_READING_ON", 0.1)
    started_at = time.monotonic()
    await limited(Sender(pause=pause).receive, CHUNKED).discard()
    assert 0.1 <= time.monotonic() - started_at < 1
