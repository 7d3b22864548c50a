"""A load generator in the benchmark's own process: so many streams that are never idle, or arrivals by chance."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp

Body = Mapping[str, Any]

_FIRST_TOKEN = b'"type":"delta"'  # text has its quotes escaped
_SECONDS_FOR_ONE_ANSWER = 300


class Answer(NamedTuple):
    tokens: int
    first_token_at: float | None  # by time.perf_counter(), of a streamed answer


Read = Callable[[aiohttp.ClientResponse], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Loop:
    """What a load got: all of its tokens, how long it took, and each streamed answer's time to its first token."""

    tokens: int
    seconds: float
    first_tokens: tuple[float, ...]

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


async def read_answer(response: aiohttp.ClientResponse) -> Answer:
    """One JSON document, ours or OpenAI's."""
    answer = await response.json(content_type=None)  # TorchServe names none
    return Answer(int(answer["usage"]["completion_tokens"] if "usage" in answer else answer["tokens_generated"]), None)


async def read_events(response: aiohttp.ClientResponse) -> Answer:
    """Server-sent events of ours: only the end is parsed, so that reading costs the measured ones little."""
    received, first_token_at = bytearray(), None
    async for chunk in response.content.iter_any():
        received += chunk
        if first_token_at is None and _FIRST_TOKEN in received:
            first_token_at = time.perf_counter()
    last = received.rstrip().rpartition(b"data: ")[2]
    event = json.loads(last or b"{}")
    if event.get("type") != "done":
        raise RuntimeError(f"{response.url} ended with {bytes(last)!r:.500}")
    return Answer(int(event["response"]["tokens_generated"]), first_token_at)


def closed_loop(
    url: str,
    path: str,
    bodies: Sequence[Body],
    streams: int,
    read: Read = read_answer,
    *,
    headers: Mapping[str, str] | None = None,
) -> Loop:
    """Sends all bodies, each of `streams` connections its next one as soon as it has an answer. Errors raise."""
    return asyncio.run(_closed_loop(url + path, bodies, streams, read, headers))


def poisson(url: str, path: str, bodies: Sequence[Body], *, rate: float, seed: int, read: Read = read_events) -> Loop:
    """Sends the bodies at times chosen beforehand, `rate` in a second on average, however slow the answers are.

    Times to first token count from when a request was to be sent. Errors raise.
    """
    return asyncio.run(_poisson(url + path, bodies, rate, seed, read))


async def _closed_loop(
    url: str, bodies: Sequence[Body], streams: int, read: Read, headers: Mapping[str, str] | None
) -> Loop:
    left = iter(bodies)
    answers: list[Answer] = []
    first_tokens: list[float] = []

    async def stream(session: aiohttp.ClientSession) -> None:
        for body in left:
            sent_at = time.perf_counter()
            answer = await _post(session, url, body, read)
            answers.append(answer)
            if answer.first_token_at is not None:
                first_tokens.append(answer.first_token_at - sent_at)

    async with _session(headers) as session:
        began_at = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(streams):
                group.create_task(stream(session))
        seconds = time.perf_counter() - began_at
    return Loop(sum(answer.tokens for answer in answers), seconds, tuple(first_tokens))


async def _poisson(url: str, bodies: Sequence[Body], rate: float, seed: int, read: Read) -> Loop:
    generator = random.Random(seed)  # noqa: S311 - no secret
    answers: list[Answer] = []
    first_tokens: list[float] = []

    async def arrive(session: aiohttp.ClientSession, body: Body, at: float) -> None:
        await asyncio.sleep(at - time.perf_counter())
        answer = await _post(session, url, body, read)
        answers.append(answer)
        first_tokens.append((answer.first_token_at or time.perf_counter()) - at)

    async with _session(None) as session:
        began_at = at = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for body in bodies:
                at += generator.expovariate(rate)
                group.create_task(arrive(session, body, at))
        seconds = time.perf_counter() - began_at
    return Loop(sum(answer.tokens for answer in answers), seconds, tuple(first_tokens))


def _session(headers: Mapping[str, str] | None) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=_SECONDS_FOR_ONE_ANSWER)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout, headers=headers)


async def _post(session: aiohttp.ClientSession, url: str, body: Body, read: Read) -> Answer:
    async with session.post(url, json=body) as response:
        if response.status != 200:  # noqa: PLR2004 - HTTP's
            raise RuntimeError(f"{url} answered {response.status}: {await response.text():.500}")
        return await read(response)
