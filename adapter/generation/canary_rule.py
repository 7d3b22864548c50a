"""When a canary has shown enough: tests of failures and of times that may be looked at after every single request.

The unknown is a rate: of failures on either side, or of the pairs of requests in which the canary was slower than
it may be. It has a confidence sequence: the p for which the mixture's likelihood ratio,
B(s + 1/2, n - s + 1/2) / B(1/2, 1/2) over p^s (1 - p)^(n - s), is below 1 / alpha. Under the true p it is a martingale
of mean 1, so it ever reaches 1 / alpha with a probability of at most alpha (Ville; Robbins 1970; Howard, Ramdas,
McAuliffe and Sekhon 2021, arXiv 1810.08240). The mixture weighs small rates more than a uniform one: 357 requests
without a failure say at 0.05 what 490 would.

Times are compared by their order only, as one answer in a hundred may take a hundred times as long. That the canary is
slower in at most half of the pairs says that the median of its time over the control's is at most `max_slowdown`.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

_BISECTIONS = 50
_MOST_TRIALS = 10**9
_HALF = 0.5
_NUM_TESTS = 3  # of failures, of the first token and of the tokens after it


class Tally(NamedTuple):
    trials: int
    failures: int


class Counts(NamedTuple):
    """The counts of a canary. Each number only grows. A pair in which the canary was slower counts as a failure.

    Those of several gateways may be added, since each has workers of its own.
    """

    canary: Tally
    control: Tally
    first_token: Tally
    per_token: Tally


class Interval(NamedTuple):
    """An interval of the failure rate, or of whatever else a tally counts."""

    lower: float
    upper: float


class Decision(StrEnum):
    PROMOTE = "promote"
    GIVE_UP = "give up"
    GO_ON = "go on"


class Criterion(StrEnum):
    FAILURES = "failures"
    FIRST_TOKEN = "time to the first token"  # noqa: S105 - no password
    PER_TOKEN = "time per token"  # noqa: S105


class Rule(NamedTuple):
    """A canary is promoted if every test says so, and given up if one does.

    Each of the two is wrong with a probability of at most `alpha`, however often one looks. A wrong promotion has
    passed the one test that it should have failed, at `alpha`. Any of the tests may wrongly give up, so that they
    share `alpha`.
    """

    margin: float = 0.02
    min_requests: int = 100
    alpha: float = 0.05
    max_slowdown: float | None = 1.25  # None: times are not tested

    def judge(self, counts: Counts) -> dict[Criterion, Decision]:
        decisions = {Criterion.FAILURES: self.judge_failures(counts.canary, counts.control)}
        if self.max_slowdown is not None:
            decisions[Criterion.FIRST_TOKEN] = self.judge_times(counts.first_token)
            decisions[Criterion.PER_TOKEN] = self.judge_times(counts.per_token)
        return decisions

    def judge_failures(self, canary: Tally, control: Tally) -> Decision:
        """Give up: the canary's rate is higher. Promote: it is higher by `margin` at most."""
        if interval(canary, self._give_up_alpha / 2).lower > interval(control, self._give_up_alpha / 2).upper:
            return Decision.GIVE_UP
        is_enough = min(canary.trials, control.trials) >= self.min_requests
        difference = interval(canary, self.alpha / 2).upper - interval(control, self.alpha / 2).lower
        return Decision.PROMOTE if is_enough and difference <= self.margin else Decision.GO_ON

    def judge_times(self, slower: Tally) -> Decision:
        """Give up: in most pairs the canary takes more than `max_slowdown` times as long. Promote: it does not.

        `slower` counts the pairs in which it does as failures.
        """
        if interval(slower, self._give_up_alpha).lower > _HALF:
            return Decision.GIVE_UP
        return Decision.PROMOTE if interval(slower, self.alpha).upper < _HALF else Decision.GO_ON

    @property
    def _give_up_alpha(self) -> float:
        return self.alpha / (1 if self.max_slowdown is None else _NUM_TESTS)

    def num_without_failure(self) -> int:
        """How many of the canary's requests it takes to promote it, if none fails."""
        trials = range(max(1, self.min_requests), _MOST_TRIALS)
        enough = bisect_left(
            trials, x=True, key=lambda num: interval(Tally(num, 0), self.alpha / 2).upper <= self.margin
        )
        return trials[0] + enough


def decide(decisions: Iterable[Decision]) -> Decision:
    """The decision of all tests together."""
    said = set(decisions)
    if Decision.GIVE_UP in said:
        return Decision.GIVE_UP
    return Decision.PROMOTE if said == {Decision.PROMOTE} else Decision.GO_ON


def total(counts: Sequence[Counts]) -> Counts:
    """The sum over the gateways, of which there is one at least."""
    return Counts(*(_sum(tallies) for tallies in zip(*counts, strict=True)))


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(sum(each.trials for each in tallies), sum(each.failures for each in tallies))


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
