"""Limits how often a caller may ask for a generation: of all gateways with one Redis together, or of this one."""

import logging
import math
from typing import Self

from throttled import MemoryStore, RateLimitResult, Throttled
from throttled.constants import RateLimiterType
from throttled.exceptions import DataError

from adapter.call import ANONYMOUS
from adapter.errors import RateLimited
from adapter.generation.shared_rate import SharedRate

_MAX_RETRY_AFTER = 60  # seconds; clients ignore more
_MAX_CALLERS = 1_000_000  # the store forgets the one not seen for longest; there are only as many as there are keys

_log = logging.getLogger(__name__)


class RateLimitError(ValueError):
    """TORCHBRIDGE_RATE_LIMIT is not a rate."""


class RateLimiter:
    """`limit` is "60/minute" or "60/minute burst 5", per second to week; None admits everybody. Open in `async with`.

    GCRA: `burst` generations (as many as the rate, if not given) at once, and then one after another, in even steps.
    Where there is a `redis_url` they are counted in Redis, on its clock. While it does not answer, and without it,
    this process counts for itself, on the monotonic clock.
    """

    def __init__(self, limit: str | None, redis_url: str | None = None) -> None:
        try:
            self._own = None if limit is None else _throttled(limit)
        except DataError as error:
            raise RateLimitError(f"TORCHBRIDGE_RATE_LIMIT: {error}") from None
        self._shared = SharedRate(limit, redis_url) if limit is not None and redis_url is not None else None
        self._is_known_to_be_alone = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._shared is not None:
            await self._shared.aclose()

    async def admit(self, caller: str) -> None:
        """Takes one of the generations that `caller` has, or raises RateLimited."""
        if self._own is None:
            return
        result = await self._take(self._own, caller)
        if result.limited:
            whose = "all callers together" if caller == ANONYMOUS else "this API key"
            seconds = max(1, math.ceil(result.state.retry_after))
            raise RateLimited(
                f"The rate limit of {whose} is used up. The next request is admitted in {seconds} s.",
                retry_after=min(seconds, _MAX_RETRY_AFTER),
            )

    async def _take(self, own: Throttled, caller: str) -> RateLimitResult:
        shared = await self._take_shared(caller)
        if shared is not None and shared.limited:
            return shared
        # Counts what Redis has let in, too: without Redis this gateway goes on from there, not with a new burst.
        counted = own.limit(caller)
        return shared or counted

    async def _take_shared(self, caller: str) -> RateLimitResult | None:
        if self._shared is not None:
            return await self._shared.take(caller)
        if not self._is_known_to_be_alone:
            self._is_known_to_be_alone = True
            _log.info("the rate limit is this gateway's alone: gateways with one TORCHBRIDGE_REDIS_URL share theirs")
        return None


def _throttled(limit: str) -> Throttled:
    store = MemoryStore(options={"MAX_SIZE": _MAX_CALLERS})  # the default one is shared by the whole process
    throttled = Throttled(using=RateLimiterType.GCRA.value, quota=limit, store=store)
    if throttled.limiter.quota.burst < 1:
        raise DataError(f"'{limit}' would never admit anybody.")
    return throttled
