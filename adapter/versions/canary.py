"""Watches a canary in a running gateway until it has shown enough, or its time is up."""

import time
from contextlib import suppress
from enum import StrEnum

from adapter.control.client import ControlClient, GatewayNotRunning
from adapter.control.messages import CanaryReport, CanaryRequest, OutcomeReport, SpreadReport
from adapter.errors import TorchbridgeError
from adapter.versions.canary_rule import Decision, Rule, Tally, interval
from adapter.versions.changes import Report

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_LINES = 10.0


class Verdict(StrEnum):
    PROMOTE = "promote"
    ABORT = "abort"
    UNDECIDED = "undecided"  # within the time
    LOST = "lost"  # what was counted, or what it was counted of


def run_canary(
    gateway: ControlClient,
    model: str,
    version: str,
    *,
    percent: float,
    sticky: bool,
    shadow: bool,
    rule: Rule,
    timeout: float,
    report: Report,
    seconds_between_looks: float = _SECONDS_BETWEEN_LOOKS,
) -> Verdict:
    """Gives `version` its share until there is a verdict, or for `timeout` seconds; then it has none any more.

    Raises what the gateway says to a canary that cannot begin.
    """
    request = CanaryRequest(model=model, version=version, percent=percent, is_sticky=sticky, is_shadow=shadow)
    began = gateway.begin_canary(request)
    try:
        needed = rule.num_without_failure()
        report(f"{_what(began)}. If none fails, {needed} requests on {version} promote it.")
        return _watch(gateway, began, rule, timeout=timeout, report=report, seconds=seconds_between_looks)
    except (GatewayNotRunning, TorchbridgeError) as error:
        report(f"The canary is over without a verdict: {error}")
        return Verdict.LOST
    finally:
        with suppress(GatewayNotRunning, TorchbridgeError):  # it ends by itself
            gateway.end_canary(began.id)


def _watch(
    gateway: ControlClient, began: CanaryReport, rule: Rule, *, timeout: float, report: Report, seconds: float
) -> Verdict:
    deadline = time.monotonic() + timeout
    before, next_line_at = began, time.monotonic() + _SECONDS_BETWEEN_LINES
    while True:
        seen = gateway.renew_canary(began.id)
        if not _goes_on_from(before, seen):
            report(f"The gateway has lost its counts: {_progress(seen, rule)}")
            return Verdict.LOST
        before = seen
        decision = rule.decide(_tally(seen.canary), _tally(seen.control))
        now = time.monotonic()
        if decision is not Decision.GO_ON or now >= deadline:
            report(_progress(seen, rule))
            return Verdict.UNDECIDED if decision is Decision.GO_ON else Verdict(decision)
        if now >= next_line_at:
            report(_progress(seen, rule))
            next_line_at = now + _SECONDS_BETWEEN_LINES
        time.sleep(min(seconds, deadline - now))


def _goes_on_from(before: CanaryReport, seen: CanaryReport) -> bool:
    return all(
        old.answers <= new.answers and old.num_failures <= new.num_failures
        for old, new in ((before.canary, seen.canary), (before.control, seen.control))
    )


def _tally(outcomes: OutcomeReport) -> Tally:
    return Tally(outcomes.num_trials, outcomes.num_failures)


def _what(report: CanaryReport) -> str:
    chosen = "by user" if report.is_sticky else "at random"
    share = f"{report.percent:g} % of the requests, {chosen},"
    if report.is_shadow:
        return f"{share} are answered by {report.control_version} and once more by {report.version}"
    return f"{share} go to {report.version}, the others to {report.control_version}"


def _progress(report: CanaryReport, rule: Rule) -> str:
    sides = ((report.version, report.canary), (report.control_version, report.control))
    parts = [f"{version}: {_describe(outcomes, rule)}" for version, outcomes in sides]
    if report.fallbacks:
        parts.append(f"{report.fallbacks} found {report.version} not ready")
    if report.is_shadow:
        parts.append(f"{report.dropped} not run for want of a slot")
        parts.append(f"{report.equal} of {report.compared} that could be compared had the same text")
    return "; ".join(parts)


def _describe(outcomes: OutcomeReport, rule: Rule) -> str:
    rate = interval(_tally(outcomes), rule.alpha / 2)
    words = [
        f"{outcomes.num_failures} of {outcomes.num_trials} failed ({rate.lower:.1%} to {rate.upper:.1%})",
        *(f"{number} {code}" for code, number in sorted(outcomes.failures.items())),
    ]
    if outcomes.time_to_first_token:
        words.append(f"first token {_seconds(outcomes.time_to_first_token)}")
    if outcomes.time_per_token:
        words.append(f"token {_seconds(outcomes.time_per_token)}")
    return ", ".join(words)


def _seconds(spread: SpreadReport) -> str:
    return f"{1000 * spread.p50:.3g} ms (p95 {1000 * spread.p95:.3g})"
