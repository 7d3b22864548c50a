"""How often, and how soon, a failed attempt may be made again."""

import random
import time

_MOST_RETRIES = 2
_BUDGET_PER_REQUEST = 0.1
_MOST_SAVED = 10.0  # retries, so that a quiet hour does not pay for a storm
_FIRST_DELAY = 0.25  # seconds
_GROWTH = 4.0


class RetryBudget:
    """At most 2 retries of a request, and in all at most 10 % of the requests, and a few to begin with.

    Free retries are not counted among the 10 %.
    """

    def __init__(self, first_delay: float = _FIRST_DELAY) -> None:
        self._first_delay = first_delay
        self._saved = _MOST_SAVED

    def add_request(self) -> None:
        self._saved = min(_MOST_SAVED, self._saved + _BUDGET_PER_REQUEST)

    def delay(self, num_retries: int, deadline: float, *, is_free: bool = False) -> float | None:
        """Seconds to wait before the next attempt, which is then paid for; None if there must be none.

        `deadline` is time.monotonic() of the request's end.
        """
        # With jitter: requests that failed together must not come back together.
        delay: float = self._first_delay * _GROWTH**num_retries * random.uniform(1, 2)  # noqa: S311 - no secret
        price = 0 if is_free else 1
        if num_retries >= _MOST_RETRIES or self._saved < price or time.monotonic() + delay >= deadline:
            return None
        self._saved -= price
        return delay
