"""Rates between two looks at a gateway's counters."""

from collections.abc import Mapping
from itertools import pairwise

from pydantic import BaseModel, Field

from adapter.top.counts import Counts, Version

_PERCENTILES = (50, 95, 99)


class Rates(BaseModel):
    tokens_per_second: float = Field(description="Generated tokens a second, counted when an answer is whole.")
    prompt_tokens_per_second: float = Field(description="Tokens of prompts a second, counted when an answer is whole.")
    answers_per_second: float = Field(description="Whole answers a second.")
    failures_per_second: float = Field(description="Failed requests a second.")
    first_token_seconds: dict[str, float] = Field(
        description="The p50, p95 and p99 of the seconds from a request's arrival to its first text; empty without one."
    )


def rates_between(
    before: Mapping[Version, Counts], after: Mapping[Version, Counts], seconds: float
) -> dict[Version, Rates]:
    """A gateway that was started anew counts from zero: then all that it has counted is of this time."""
    return {version: _rates(_since(before.get(version), counts), seconds) for version, counts in after.items()}


def _since(before: Counts | None, after: Counts) -> Counts:
    if before is None or _has_lost_some(before, after):
        return after
    return Counts(
        answers=after.answers - before.answers,
        failures=after.failures - before.failures,
        generated_tokens=after.generated_tokens - before.generated_tokens,
        prompt_tokens=after.prompt_tokens - before.prompt_tokens,
        first_tokens={bound: count - before.first_tokens.get(bound, 0) for bound, count in after.first_tokens.items()},
    )


def _has_lost_some(before: Counts, after: Counts) -> bool:
    """Whether a counter has fallen, which says that the gateway was started anew."""
    sums = ("answers", "failures", "generated_tokens", "prompt_tokens")
    return any(getattr(after, name) < getattr(before, name) for name in sums) or any(
        after.first_tokens.get(bound, 0) < count for bound, count in before.first_tokens.items()
    )


def _rates(counts: Counts, seconds: float) -> Rates:
    return Rates(
        tokens_per_second=counts.generated_tokens / seconds,
        prompt_tokens_per_second=counts.prompt_tokens / seconds,
        answers_per_second=counts.answers / seconds,
        failures_per_second=counts.failures / seconds,
        first_token_seconds={f"p{each}": time for each in _PERCENTILES if (time := _quantile(counts, each / 100))},
    )


def _quantile(counts: Counts, share: float) -> float | None:
    """As in Prometheus' histogram_quantile: evenly spread within a bucket; beyond the last bound, that bound."""
    buckets = sorted(counts.first_tokens.items())
    if not buckets or not buckets[-1][1]:
        return None
    wanted = share * buckets[-1][1]
    for (lower, below), (upper, count) in pairwise([(0.0, 0.0), *buckets]):
        if count >= wanted:
            return lower if upper == float("inf") else lower + (upper - lower) * (wanted - below) / (count - below)
    raise AssertionError("the last bucket holds all")
