"""How often one caller may ask for a generation. Counted in this process: a second gateway counts for itself."""

import math

from throttled import MemoryStore, Throttled
from throttled.constants import RateLimiterType
from throttled.exceptions import DataError

from adapter.call import ANONYMOUS
from adapter.errors import RateLimited

_MAX_RETRY_AFTER = 60  # seconds; clients ignore more
_MAX_CALLERS = 1_000_000  # the store forgets the one not seen for longest; there are only as many as there are keys


class RateLimitError(ValueError):
    """TORCHBRIDGE_RATE_LIMIT is not a rate."""


class RateLimiter:
    """`limit` is "60/minute" or "60/minute burst 5", per second to week; None admits everybody.

    GCRA, on the monotonic clock: `burst` generations (as many as the rate, if not given) at once, and then one after
    another, as slots come free in even steps.
    """

    def __init__(self, limit: str | None) -> None:
        try:
            self._throttled = None if limit is None else _throttled(limit)
        except DataError as error:
            raise RateLimitError(f"TORCHBRIDGE_RATE_LIMIT: {error}") from None

    def admit(self, caller: str) -> None:
        """Takes one generation's slot of `caller`, or raises RateLimited."""
        if self._throttled is None:
            return
        result = self._throttled.limit(caller)
        if result.limited:
            whose = "all callers together" if caller == ANONYMOUS else "this API key"
            seconds = max(1, math.ceil(result.state.retry_after))
            raise RateLimited(
                f"The rate limit of {whose} is used up. The next request is admitted in {seconds} s.",
                retry_after=min(seconds, _MAX_RETRY_AFTER),
            )


def _throttled(limit: str) -> Throttled:
    store = MemoryStore(options={"MAX_SIZE": _MAX_CALLERS})  # the default one is shared by the whole process
    throttled = Throttled(using=RateLimiterType.GCRA.value, quota=limit, store=store)
    if throttled.limiter.quota.burst < 1:
        raise DataError(f"'{limit}' would never admit anybody.")
    return throttled
