"""When a canary has shown enough: a test of two failure rates that may be looked at after every single request.

The rates of both sides have a confidence sequence each, at alpha / 2: the p for which the mixture's likelihood ratio,
B(s + 1/2, n - s + 1/2) / B(1/2, 1/2) over p^s (1 - p)^(n - s), is below 2 / alpha. Under the true p it is a martingale
of mean 1, so it ever reaches 2 / alpha with a probability of at most alpha / 2 (Ville; Robbins 1970; Howard, Ramdas,
McAuliffe and Sekhon 2021, arXiv 1810.08240). The mixture weighs small rates more than a uniform one: 357 requests
without a failure say at 0.05 what 490 would.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

_BISECTIONS = 50
_MOST_TRIALS = 10**9


class Tally(NamedTuple):
    trials: int
    failures: int


class Interval(NamedTuple):
    """Of the failure rate."""

    lower: float
    upper: float


class Decision(StrEnum):
    PROMOTE = "promote"
    ABORT = "abort"
    GO_ON = "go on"


class Rule(NamedTuple):
    """Abort: the canary's rate is higher. Promote: it is higher by `margin` at most.

    Each is wrong with a probability of at most `alpha`, however often one looks.
    """

    margin: float = 0.02
    min_requests: int = 100
    alpha: float = 0.05

    def decide(self, canary: Tally, control: Tally) -> Decision:
        of_canary, of_control = interval(canary, self.alpha / 2), interval(control, self.alpha / 2)
        if of_canary.lower > of_control.upper:
            return Decision.ABORT
        is_enough = min(canary.trials, control.trials) >= self.min_requests
        if is_enough and of_canary.upper - of_control.lower <= self.margin:
            return Decision.PROMOTE
        return Decision.GO_ON

    def num_without_failure(self) -> int:
        """How many of the canary's requests promote it if none fails."""
        trials = range(max(1, self.min_requests), _MOST_TRIALS)
        enough = bisect_left(
            trials, x=True, key=lambda num: interval(Tally(num, 0), self.alpha / 2).upper <= self.margin
        )
        return trials[0] + enough


def interval(tally: Tally, alpha: float) -> Interval:
    """Contains the true rate after every request, with a probability of at least 1 - alpha."""
    trials, failures = tally
    successes = trials - failures
    evidence = _log_beta(failures + 0.5, successes + 0.5) - _log_beta(0.5, 0.5) + math.log(alpha)

    def is_possible(rate: float) -> bool:
        return evidence < failures * math.log(rate) + successes * math.log1p(-rate)

    if not trials:
        return Interval(0.0, 1.0)
    # Inside of it is the observed rate, at which the likelihood is at its highest.
    observed = failures / trials
    lower = _boundary(is_possible, observed, 0.0) if failures else 0.0
    upper = _boundary(is_possible, observed, 1.0) if successes else 1.0
    return Interval(lower, upper)


def _boundary(is_possible: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_possible(middle) else (inside, middle)
    return outside


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
