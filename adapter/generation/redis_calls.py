"""The Redis that gateways share. Without it each goes on alone."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_CONNECTIONS = 16
_PATIENCE = 0.25  # seconds, from the wait for a connection to the answer
_REST = 10.0  # seconds for which a Redis that failed is left alone
# The last three are of a server that is no Redis, or holds what is not ours.
_FAILURES = (RedisError, OSError, ValueError, TypeError, LookupError)

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


def pool_options() -> dict[str, Any]:
    """A pool that waits, as more callers than connections are no failure, with one retry, as a restart is none."""
    return {"max_connections": _CONNECTIONS, "timeout": None, "retry": Retry(NoBackoff(), 1)}


def open_redis(url: str) -> Redis:
    """Connects when it is first asked."""
    return Redis.from_pool(BlockingConnectionPool.from_url(url, **pool_options()))


class RedisCalls:
    """Never fails, and never waits long: if Redis fails there is no answer, and Redis is left alone for a while.

    An outage is one line in the log, which says what happens `without_it`, and its end another one.
    """

    def __init__(self, without_it: str) -> None:
        self._without_it = without_it
        self._rests_until = 0.0  # time.monotonic(); 0 while all is well

    async def ask(self, command: Callable[[], Awaitable[_Answer]]) -> _Answer | None:
        is_trial = self._rests_until > 0
        if is_trial:
            now = time.monotonic()
            if now < self._rests_until:
                return None
            self._rests_until = now + _REST  # for all calls but this one, which tries
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await command()
        except _FAILURES as error:
            self._rest(error)
            return None
        if is_trial:
            self._rests_until = 0.0
            _log.info("Redis answers again")
        return answer

    def _rest(self, error: Exception) -> None:
        if not self._rests_until:
            # Its own words may quote what was to be stored.
            _log.warning("Redis fails (%s): %s until it answers", type(error).__name__, self._without_it)
        self._rests_until = time.monotonic() + _REST
