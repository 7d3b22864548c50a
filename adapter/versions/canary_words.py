"""What a canary is, and how far it is, for people."""

from adapter.control.messages import CanaryReport, OutcomeReport, PairsReport, SharedReport, SpreadReport
from adapter.generation.canary_rule import Criterion, Decision, Rule, Tally, interval


def what_it_is(report: CanaryReport) -> str:
    chosen = "by user" if report.is_sticky else "at random"
    share = f"{report.percent:g} % of the requests, {chosen},"
    if report.is_shadow:
        return f"{share} are answered by {report.control_version} and once more by {report.version}"
    return f"{share} go to {report.version}, the others to {report.control_version}"


def what_it_takes(report: CanaryReport) -> str:
    needed = report.rule.num_without_failure()
    return f"{what_it_is(report)}. If none fails, it takes {needed} requests on {report.version} to promote it."


def how_far_it_is(report: CanaryReport) -> str:
    rule = report.rule
    sides = ((report.version, report.canary), (report.control_version, report.control))
    parts = [f"{version}: {_describe(outcomes, rule)}" for version, outcomes in sides]
    times = ((Criterion.FIRST_TOKEN, report.first_token), (Criterion.PER_TOKEN, report.per_token))
    parts += [_compare(what, pairs, report, rule) for what, pairs in times if pairs is not None]
    if report.fallbacks:
        parts.append(f"{report.fallbacks} found {report.version} not ready")
    if report.is_shadow:
        parts.append(f"{report.dropped} not run for want of a slot")
        parts.append(f"{report.equal} of {report.compared} that could be compared had the same text")
    if report.shared is not None:
        parts.append(_of_all_gateways(report, report.shared))
    lacking = [what for what, decision in rule.judge(report.counts).items() if decision is Decision.GO_ON]
    if lacking:
        parts.append(f"not decided: {', '.join(lacking)}")
    return "; ".join(parts)


def _of_all_gateways(report: CanaryReport, shared: SharedReport) -> str:
    counts = shared.counts
    sides = ((report.version, counts.canary), (report.control_version, counts.control))
    words = [f"{version} {_failures(tally, report.rule)}" for version, tally in sides]
    if report.max_slowdown is not None:
        times = ((Criterion.FIRST_TOKEN, counts.first_token), (Criterion.PER_TOKEN, counts.per_token))
        words += [f"{what} slower in {pairs.failures} of {pairs.trials} pairs" for what, pairs in times]
    return f"in {shared.gateways} gateways together: {', '.join(words)}"


def _compare(what: Criterion, pairs: PairsReport, report: CanaryReport, rule: Rule) -> str:
    if not pairs.num_pairs:
        return f"{what}: no pair yet{' (answers of one token have none)' if what is Criterion.PER_TOKEN else ''}"
    share = interval(pairs.tally, rule.alpha)
    return (
        f"{what}: {report.version} took more than {report.max_slowdown:g} times as long "
        f"in {pairs.slower} of {pairs.num_pairs} pairs ({share.lower:.1%} to {share.upper:.1%})"
    )


def _describe(outcomes: OutcomeReport, rule: Rule) -> str:
    words = [
        _failures(outcomes.tally, rule),
        *(f"{number} {code}" for code, number in sorted(outcomes.failures.items())),
    ]
    if outcomes.cut:
        words.append(f"{outcomes.cut} cut short by others")
    if outcomes.time_to_first_token:
        words.append(f"first token {_seconds(outcomes.time_to_first_token)}")
    if outcomes.time_per_token:
        words.append(f"token {_seconds(outcomes.time_per_token)}")
    return ", ".join(words)


def _failures(tally: Tally, rule: Rule) -> str:
    rate = interval(tally, rule.alpha / 2)
    return f"{tally.failures} of {tally.trials} failed ({rate.lower:.1%} to {rate.upper:.1%})"


def _seconds(spread: SpreadReport) -> str:
    return f"{1000 * spread.p50:.3g} ms (p95 {1000 * spread.p95:.3g})"
