"""The rate limit that all gateways with one Redis count together."""

import hashlib
from typing import cast

from redis.asyncio import Redis
from throttled.asyncio import RateLimiterType, RateLimitResult, RedisStore, Throttled
from throttled.exceptions import StoreUnavailableError

from adapter.generation.redis_calls import RedisCalls, pool_options

_PREFIX = "torchbridge:rate"  # throttled-py adds the version of its format and the algorithm


class SharedRate:
    """GCRA by throttled-py's script, which Redis runs as one step, and which goes by Redis's clock alone.

    What gateways' clocks say does not matter. A Redis clock that is set back by a minute makes callers wait a minute.
    """

    def __init__(self, limit: str, redis_url: str) -> None:
        self._store = _Store(
            redis_url,
            options={
                "CONNECTION_POOL_CLASS": "redis.asyncio.BlockingConnectionPool",
                "CONNECTION_POOL_KWARGS": pool_options(),
            },
        )
        self._throttled = Throttled(
            using=RateLimiterType.GCRA.value, quota=limit, store=self._store, key_prefix=_PREFIX
        )
        self._calls = RedisCalls("each gateway counts its rate limit for itself")

    async def take(self, caller: str) -> RateLimitResult | None:
        """Takes one generation's slot of `caller`, if there is one; None while Redis does not answer."""
        key = hashlib.sha256(caller.encode()).hexdigest()
        return await self._calls.ask(lambda: self._limit(key))

    async def aclose(self) -> None:
        await self._store.aclose()

    async def _limit(self, key: str) -> RateLimitResult:
        try:
            return await self._throttled.limit(key)
        except StoreUnavailableError as error:
            raise error.__cause__ or error from None  # the failure of Redis behind it


class _Store(RedisStore):
    async def aclose(self) -> None:
        await cast("Redis", self._backend.get_client()).aclose(close_connection_pool=True)
