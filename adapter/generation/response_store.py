"""Keeps answers for a while, each under an opaque key: in this process, or in a Redis that gateways share.

One or the other. Memory in front of Redis would save a round trip of less than a millisecond.
"""

import time
from typing import Protocol

from cachetools import TTLCache

from adapter.generation.redis_calls import RedisCalls, open_redis

_LARGEST_SHARE = 8  # of the memory: one answer takes at most an eighth
_OVERHEAD = 512  # bytes that an answer takes besides its own: its key, and places in three tables
_REDIS_PREFIX = "torchbridge:response:"


class ResponseStore(Protocol):
    max_age: float  # seconds

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, answer: bytes) -> None: ...

    async def aclose(self) -> None: ...


def response_store(redis_url: str | None, max_bytes: int, max_age: float) -> ResponseStore | None:
    """None if nothing is to be kept: at a `max_age` of 0. Redis's own `maxmemory` bounds what it keeps."""
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
    """Never fails: if Redis does, there is no answer."""

    def __init__(self, url: str, max_age: float) -> None:
        self.max_age = max_age
        self._redis = open_redis(url)
        self._calls = RedisCalls("nothing is cached")

    async def get(self, key: str) -> bytes | None:
        answer = await self._calls.ask(lambda: self._redis.get(_REDIS_PREFIX + key))
        return answer if isinstance(answer, bytes) else None

    async def put(self, key: str, answer: bytes) -> None:
        milliseconds = max(1, int(self.max_age * 1_000))
        await self._calls.ask(lambda: self._redis.set(_REDIS_PREFIX + key, answer, px=milliseconds))

    async def aclose(self) -> None:
        await self._redis.aclose()
