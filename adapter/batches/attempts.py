"""How often a request of a batch is tried, and how long it waits in between: nobody waits for it."""

import random

from adapter.errors import TorchbridgeError
from adapter.schema import ErrorCode

# The server's failures, whatever the request is: the batch's own end is the only limit.
_OF_THE_SERVER = frozenset(
    {
        ErrorCode.OVERLOADED,
        ErrorCode.MODEL_NOT_READY,
        ErrorCode.UPSTREAM_UNAVAILABLE,
        ErrorCode.SHUTTING_DOWN,
        ErrorCode.RATE_LIMITED,
    }
)
# Failures that may be the request's own fault.
_UNCLEAR = frozenset(
    {
        ErrorCode.WORKER_DIED,
        ErrorCode.OUT_OF_MEMORY,
        ErrorCode.DEADLINE_EXCEEDED,
    }
)
# The model was there when the batch began, and may be on its way back: a start loads one version after the other, and
# tries one that does not load again (left_out_versions.py).
_ABSENCES = frozenset({ErrorCode.MODEL_NOT_FOUND, ErrorCode.VERSION_NOT_FOUND})
_MOST_UNCLEAR = 8  # a minute and a half in all
_MOST_ABSENCES = 120  # an hour or more
_MOST_PAIRS_OF_DEATHS = 2  # each is two workers that died on it, one after the other
_GROWTH = 2.0
_LONGEST_DELAY = 30.0  # seconds


class Attempts:
    """The attempts at one request. `first_delay`: seconds; later delays grow from there."""

    def __init__(self, first_delay: float) -> None:
        self._delay = first_delay
        self._num_unclear = 0
        self._num_absences = 0
        self._num_pairs_of_deaths = 0

    def delay_after(self, failure: TorchbridgeError) -> float | None:
        """Seconds until the next attempt; None if the failure is the answer."""
        if not self._is_transient(failure):
            return None
        # With jitter: requests that failed together must not come back together.
        delay = self._delay * random.uniform(1, 1.5)  # noqa: S311 - no secret
        self._delay = min(_LONGEST_DELAY, self._delay * _GROWTH)
        return delay

    def _is_transient(self, failure: TorchbridgeError) -> bool:
        code = failure.code
        if failure.is_final:
            # A worker and then its TorchServe may have died for other reasons: a batch can wait and see.
            self._num_pairs_of_deaths += 1
            return code == ErrorCode.WORKER_DIED and self._num_pairs_of_deaths < _MOST_PAIRS_OF_DEATHS
        if code in _OF_THE_SERVER:
            return True
        if code in _ABSENCES:
            self._num_absences += 1
            return self._num_absences < _MOST_ABSENCES
        self._num_unclear += code in _UNCLEAR
        return code in _UNCLEAR and self._num_unclear < _MOST_UNCLEAR
