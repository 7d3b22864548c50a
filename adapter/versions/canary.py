"""Watches a canary in a running gateway until it has shown enough, or its time is up."""

import time
from contextlib import suppress
from enum import StrEnum

from adapter.control.client import ControlClient, GatewayNotRunning
from adapter.control.messages import CanaryReport, CanaryRequest, OutcomeReport, PairsReport, SpreadReport
from adapter.errors import TorchbridgeError
from adapter.generation.canary_rule import Decision, Rule, Tally, decide, interval
from adapter.versions.changes import Report

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_LINES = 10.0


_FAILURES, _FIRST_TOKEN, _PER_TOKEN = "failures", "time to the first token", "time per token"


class Verdict(StrEnum):
    PROMOTE = "promote"
    FAILS_MORE = "fails more"
    SLOWER = "slower"
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
    request = CanaryRequest(
        model=model,
        version=version,
        percent=percent,
        is_sticky=sticky,
        is_shadow=shadow,
        max_slowdown=rule.max_slowdown,
    )
    began = gateway.begin_canary(request)
    try:
        needed = rule.num_without_failure()
        report(f"{_what(began)}. If none fails, it takes {needed} requests on {version} to promote it.")
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
        decisions = _decisions(seen, rule)
        verdict = _verdict(decisions)
        now = time.monotonic()
        if verdict is not Verdict.UNDECIDED or now >= deadline:
            report(_progress(seen, rule))
            return verdict
        if now >= next_line_at:
            report(_progress(seen, rule))
            next_line_at = now + _SECONDS_BETWEEN_LINES
        time.sleep(min(seconds, deadline - now))


def _goes_on_from(before: CanaryReport, seen: CanaryReport) -> bool:
    return all(
        old.answers <= new.answers and old.num_failures <= new.num_failures
        for old, new in ((before.canary, seen.canary), (before.control, seen.control))
    )


def _decisions(seen: CanaryReport, rule: Rule) -> dict[str, Decision]:
    return {_FAILURES: rule.judge_failures(_tally(seen.canary), _tally(seen.control))} | {
        what: rule.judge_times(_slower(pairs)) for what, pairs in _times(seen)
    }


def _verdict(decisions: dict[str, Decision]) -> Verdict:
    match decide(decisions.values()):
        case Decision.PROMOTE:
            return Verdict.PROMOTE
        case Decision.GIVE_UP:
            return Verdict.FAILS_MORE if decisions[_FAILURES] is Decision.GIVE_UP else Verdict.SLOWER
        case Decision.GO_ON:
            return Verdict.UNDECIDED


def _times(seen: CanaryReport) -> list[tuple[str, PairsReport]]:
    times = ((_FIRST_TOKEN, seen.first_token), (_PER_TOKEN, seen.per_token))
    return [(what, pairs) for what, pairs in times if pairs is not None]


def _tally(outcomes: OutcomeReport) -> Tally:
    return Tally(outcomes.num_trials, outcomes.num_failures)


def _slower(pairs: PairsReport) -> Tally:
    return Tally(pairs.num_pairs, pairs.slower)


def _what(report: CanaryReport) -> str:
    chosen = "by user" if report.is_sticky else "at random"
    share = f"{report.percent:g} % of the requests, {chosen},"
    if report.is_shadow:
        return f"{share} are answered by {report.control_version} and once more by {report.version}"
    return f"{share} go to {report.version}, the others to {report.control_version}"


def _progress(report: CanaryReport, rule: Rule) -> str:
    sides = ((report.version, report.canary), (report.control_version, report.control))
    parts = [f"{version}: {_describe(outcomes, rule)}" for version, outcomes in sides]
    parts += [_compare(what, pairs, report, rule) for what, pairs in _times(report)]
    if report.fallbacks:
        parts.append(f"{report.fallbacks} found {report.version} not ready")
    if report.is_shadow:
        parts.append(f"{report.dropped} not run for want of a slot")
        parts.append(f"{report.equal} of {report.compared} that could be compared had the same text")
    lacking = [what for what, decision in _decisions(report, rule).items() if decision is Decision.GO_ON]
    if lacking:
        parts.append(f"not decided: {', '.join(lacking)}")
    return "; ".join(parts)


def _compare(what: str, pairs: PairsReport, report: CanaryReport, rule: Rule) -> str:
    if not pairs.num_pairs:
        return f"{what}: no pair yet{' (answers of one token have none)' if what == _PER_TOKEN else ''}"
    share = interval(_slower(pairs), rule.alpha)
    return (
        f"{what}: {report.version} took more than {report.max_slowdown:g} times as long "
        f"in {pairs.slower} of {pairs.num_pairs} pairs ({share.lower:.1%} to {share.upper:.1%})"
    )


def _describe(outcomes: OutcomeReport, rule: Rule) -> str:
    rate = interval(_tally(outcomes), rule.alpha / 2)
    words = [
        f"{outcomes.num_failures} of {outcomes.num_trials} failed ({rate.lower:.1%} to {rate.upper:.1%})",
        *(f"{number} {code}" for code, number in sorted(outcomes.failures.items())),
    ]
    if outcomes.cut:
        words.append(f"{outcomes.cut} cut short by others")
    if outcomes.time_to_first_token:
        words.append(f"first token {_seconds(outcomes.time_to_first_token)}")
    if outcomes.time_per_token:
        words.append(f"token {_seconds(outcomes.time_per_token)}")
    return ", ".join(words)


def _seconds(spread: SpreadReport) -> str:
    return f"{1000 * spread.p50:.3g} ms (p95 {1000 * spread.p95:.3g})"
