"""A load generator that costs little beside what it measures: one POST, again and again, on connections that are kept.

    python -m benchmarks.http_load LOAD    where LOAD is a Load as JSON

It prints how long it took, in seconds, and how long each request did. Where the load is to be held, it prints `open`
once each answer has had its first text, and leaves when its standard input ends.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks.fake_upstream import TEXTS

# Of events that have a text of their own: it is quoted, where another one holds the whole text.
_FIRST_TEXT = json.dumps(TEXTS[0]).encode()
_ANY_TEXT = re.compile("|".join(map(json.dumps, TEXTS)).encode())
_OPENED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Load:
    url: str
    body: dict[str, Any]
    requests: int
    concurrency: int = 1
    texts: int = 0  # that the answer to each must have in events of their own
    is_held: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Caller(asyncio.Protocol):
    """One connection. The answers' ends are found by what they end with: an event never ends as the last chunk does."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._until: bytes | None = None
        self._done: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP connection gives
        self._transport = transport

    def send(self, request: bytes, until: bytes | None = None) -> asyncio.Future[bytes]:
        """The whole answer, or what there is of it when it has `until`."""
        self._received.clear()
        self._until = until
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._done.done() and self._is_complete():
            self._done.set_result(bytes(self._received))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError(f"cut after {bytes(self._received)!r:.500}"))

    def _is_complete(self) -> bool:
        if self._until is not None:
            return self._until in self._received
        if self._received.endswith(b"\r\n0\r\n\r\n"):
            return True
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return False
        _, found, length = head.lower().partition(b"\r\ncontent-length:")
        return bool(found) and len(body) >= int(length.split(b"\r\n", 1)[0])


async def _run(load: Load) -> None:
    callers = [await _connect(load.url) for _ in range(load.concurrency)]
    left = iter(range(load.requests))
    request = _request(load)
    seconds: list[float] = []

    async def call(caller: Caller) -> None:
        for _ in left:
            began_at = time.perf_counter()
            answer = await caller.send(request)
            seconds.append(time.perf_counter() - began_at)
            _check(answer, load)

    began_at = time.perf_counter()
    await asyncio.gather(*map(call, callers))
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began_at, "each": seconds}))


async def _hold(load: Load) -> None:
    request = _request(load)
    gate = asyncio.Semaphore(_OPENED_AT_ONCE)

    async def open_one() -> Caller:
        async with gate:
            caller = await _connect(load.url)
            _check(await caller.send(request, until=_FIRST_TEXT), load)
            return caller

    callers = await asyncio.gather(*(open_one() for _ in range(load.requests)))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    del callers


async def _connect(url: str) -> Caller:
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 0
    _, caller = await asyncio.get_running_loop().create_connection(Caller, host, port)
    return caller


def _request(load: Load) -> bytes:
    address = urlsplit(load.url)
    body = json.dumps(load.body).encode()
    head = (
        f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _check(answer: bytes, load: Load) -> None:
    """A gateway that fails, drops or merges would be a fast one."""
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"{load.url} answered {answer!r:.1000}")
    if (texts := len(_ANY_TEXT.findall(answer))) < load.texts:
        raise RuntimeError(f"{load.url} sent {texts} of {load.texts} texts, and at last {answer[-500:]!r}")


if __name__ == "__main__":
    _load = Load(**json.loads(sys.argv[1]))
    asyncio.run(_hold(_load) if _load.is_held else _run(_load))
