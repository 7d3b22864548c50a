"""Where answers are kept for a while, each under an opaque key: in this process, or in a Redis that gateways share.

One or the other. Memory in front of Redis would save a round trip of less than a millisecond.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from cachetools import TTLCache
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_LARGEST_SHARE = 8  # of the memory: one answer takes at most an eighth
_OVERHEAD = 512  # bytes that an answer takes besides its own: its key, and places in three tables
_REDIS_PREFIX = "torchbridge:response:"
_REDIS_CONNECTIONS = 16
_REDIS_PATIENCE = 0.25  # seconds, from the wait for a connection to the answer
_REDIS_REST = 10.0  # seconds for which a Redis that failed is left alone

_log = logging.getLogger(__name__)


class ResponseStore(Protocol):
    max_age: float  # seconds

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, answer: bytes) -> None: ...

    async def aclose(self) -> None: ...


def response_store(redis_url: str | None, max_bytes: int, max_age: float) -> ResponseStore | None:
    """None where nothing is to be kept: at a `max_age` of 0. How much Redis keeps is its `maxmemory`."""
    if not max_age:
        return None
    return RedisStore(redis_url, max_age) if redis_url else MemoryStore(max_bytes, max_age)


class MemoryStore:
    """The least recently used answers go first."""

    def __init__(self, max_bytes: int, max_age: float) -> None:
        self.max_age = max_age
        self._largest = max_bytes // _LARGEST_SHARE
        self._answers: TTLCache[str, bytes] = TTLCache(max_bytes, max_age, time.monotonic, _size)

    async def get(self, key: str) -> bytes | None:
        return self._answers.get(key)

    async def put(self, key: str, answer: bytes) -> None:
        if _size(answer) <= self._largest:
            self._answers[key] = answer

    async def aclose(self) -> None:
        self._answers.clear()


def _size(answer: bytes) -> int:
    return _OVERHEAD + len(answer)


class RedisStore:
    """Never fails: where Redis does, there is no answer, and none is asked of it for a while."""

    def __init__(self, url: str, max_age: float) -> None:
        self.max_age = max_age
        # A pool that waits: more callers than connections are no failure. Once more: nor is a restart in between.
        pool = BlockingConnectionPool.from_url(
            url, max_connections=_REDIS_CONNECTIONS, timeout=None, retry=Retry(NoBackoff(), 1)
        )
        self._redis = Redis.from_pool(pool)
        self._rests_until = 0.0  # time.monotonic(); 0 while all is well
        self._warned_at = -float("inf")

    async def get(self, key: str) -> bytes | None:
        answer = await self._ask(lambda: self._redis.get(_REDIS_PREFIX + key))
        return answer if isinstance(answer, bytes) else None

    async def put(self, key: str, answer: bytes) -> None:
        milliseconds = max(1, int(self.max_age * 1_000))
        await self._ask(lambda: self._redis.set(_REDIS_PREFIX + key, answer, px=milliseconds))

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def _ask(self, command: Callable[[], Awaitable[object]]) -> object:
        if time.monotonic() < self._rests_until:
            return None
        if self._rests_until:
            self._rests_until = time.monotonic() + _REDIS_REST  # for all but this one, which tries
        try:
            async with asyncio.timeout(_REDIS_PATIENCE):
                answer = await command()
        except (RedisError, OSError, ValueError) as error:  # ValueError: of a server that speaks something else
            self._rest(error)
            return None
        self._rests_until = 0.0
        return answer

    def _rest(self, error: Exception) -> None:
        now = time.monotonic()
        self._rests_until = now + _REDIS_REST
        if now > self._warned_at + _REDIS_REST:
            self._warned_at = now
            # Its own words may quote what was to be stored.
            _log.warning("Redis fails (%s): nothing is cached for %.0f seconds", type(error).__name__, _REDIS_REST)
