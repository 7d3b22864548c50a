"""Watches a canary in a running gateway until it has shown enough, or its time is up."""

import time
from contextlib import suppress
from enum import StrEnum

from adapter.control.client import ControlClient, GatewayNotRunning
from adapter.control.messages import CanaryReport, CanaryRequest
from adapter.errors import TorchbridgeError
from adapter.generation.canary_rule import Criterion, Decision, Rule, decide
from adapter.versions.canary_words import how_far_it_is, what_it_takes
from adapter.versions.changes import Report

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_LINES = 10.0


class Verdict(StrEnum):
    PROMOTE = "promote"
    FAILS_MORE = "fails more"
    SLOWER = "slower"
    UNDECIDED = "undecided"  # within the time
    LOST = "lost"  # what was counted, or what it was counted of


_IN_WORDS = {
    Verdict.PROMOTE: "{version} fails at most {margin:.1%} more often{speed}: it {outcome}",
    Verdict.FAILS_MORE: "{version} fails more often: it is not promoted",
    Verdict.SLOWER: "{version} mostly takes more than {max_slowdown:g} times as long: it is not promoted",
    Verdict.UNDECIDED: "there was no verdict in time: {version} is not promoted",
    Verdict.LOST: "the canary was lost: {version} is not promoted",
}


def in_words(verdict: Verdict, version: str, rule: Rule, *, shadow: bool) -> str:
    """The verdict and what comes of it, once that is done."""
    slow = "" if rule.max_slowdown is None else f" and mostly takes at most {rule.max_slowdown:g} times as long"
    return _IN_WORDS[verdict].format(
        version=version,
        margin=rule.margin,
        max_slowdown=rule.max_slowdown or 0,
        speed=slow or ", its times not compared",
        outcome="would be promoted" if shadow else "is the default",
    )


class CountsLost(RuntimeError):
    """The gateway counts less than before: it is another one, or has begun anew."""


class Watch:
    """A canary that runs, and lasts as long as somebody looks at it."""

    def __init__(self, gateway: ControlClient, began: CanaryReport) -> None:
        self._gateway = gateway
        self.latest = began

    def look(self) -> Verdict:
        """The verdict so far, perhaps undecided. Raises CountsLost, or what the gateway says of one that is over."""
        seen = self._gateway.renew_canary(self.latest.id)
        before, self.latest = self.latest, seen
        if not _goes_on_from(before, seen):
            raise CountsLost("The gateway has lost its counts.")
        return _verdict(seen)


def run_canary(
    gateway: ControlClient,
    request: CanaryRequest,
    *,
    timeout: float,
    report: Report,
    seconds_between_looks: float = _SECONDS_BETWEEN_LOOKS,
) -> Verdict:
    """Gives the version its share until there is a verdict, or for `timeout` seconds; then it has none any more.

    Raises what the gateway says to a canary that cannot begin.
    """
    began = gateway.begin_canary(request)
    watch = Watch(gateway, began)
    try:
        report(what_it_takes(began))
        return _watch(watch, timeout=timeout, report=report, seconds=seconds_between_looks)
    except CountsLost as error:
        report(f"{error} {how_far_it_is(watch.latest)}")
        return Verdict.LOST
    except (GatewayNotRunning, TorchbridgeError) as error:
        report(f"The canary is over without a verdict: {error}")
        return Verdict.LOST
    finally:
        with suppress(GatewayNotRunning, TorchbridgeError):  # it ends by itself
            gateway.end_canary(began.id)


def _watch(watch: Watch, *, timeout: float, report: Report, seconds: float) -> Verdict:
    progress = _Progress(report)
    deadline = time.monotonic() + timeout
    next_line_at = time.monotonic() + _SECONDS_BETWEEN_LINES
    while True:
        verdict = watch.look()
        now = time.monotonic()
        if verdict is not Verdict.UNDECIDED or now >= deadline:
            report(how_far_it_is(watch.latest))
            return verdict
        if now >= next_line_at:
            progress.show(how_far_it_is(watch.latest))
            next_line_at = now + _SECONDS_BETWEEN_LINES
        time.sleep(min(seconds, deadline - now))


class _Progress:
    """Says what has changed, and once that nothing has: not the same line for an hour."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._line = ""
        self._is_quiet = False

    def show(self, line: str) -> None:
        if line != self._line:
            self._report(line)
            self._line, self._is_quiet = line, False
        elif not self._is_quiet:
            self._report("No request has come since: the next line is shown when one has.")
            self._is_quiet = True


def _goes_on_from(before: CanaryReport, seen: CanaryReport) -> bool:
    return all(
        old.answers <= new.answers and old.num_failures <= new.num_failures
        for old, new in ((before.canary, seen.canary), (before.control, seen.control))
    )


def _verdict(seen: CanaryReport) -> Verdict:
    decisions = seen.rule.judge(seen.counts)
    match decide(decisions.values()):
        case Decision.PROMOTE:
            return Verdict.PROMOTE
        case Decision.GIVE_UP:
            is_failing = decisions[Criterion.FAILURES] is Decision.GIVE_UP
            return Verdict.FAILS_MORE if is_failing else Verdict.SLOWER
        case Decision.GO_ON:
            return Verdict.UNDECIDED
