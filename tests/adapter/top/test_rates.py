"""What `torchbridge top` makes of the gateway's own metrics, which are the real ones here."""

from collections.abc import Mapping

import pytest

from adapter.generation.metrics import Metrics
from adapter.schema import ErrorCode, GenerationResponse
from adapter.top.counts import Counts, Version, read_counts
from adapter.top.rates import rates_between
from adapter.torchserve.served_models import PinnedVersion

VERSION = ("tiny", "1.0")


def answer(first_token: float, tokens: int = 10) -> GenerationResponse:
    return GenerationResponse(
        text="",
        tokens_generated=tokens,
        generation_time=1.0,
        id="r",
        model="tiny",
        model_version="1.0",
        model_digest="0" * 64,
        finish_reason="length",
        prompt_tokens=4,
        queue_time=0.0,
        time_to_first_token=first_token,
    )


def counts_of(metrics: Metrics) -> Mapping[Version, Counts]:
    return read_counts(metrics.render().decode())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lambda: 0, lambda: 0)


def test_what_came_between_is_spread_over_the_time(metrics: Metrics) -> None:
    metrics.add_answer(answer(0.02))
    before = counts_of(metrics)
    for _ in range(4):
        metrics.add_answer(answer(0.02))
    metrics.add_failure(ErrorCode.WORKER_DIED, PinnedVersion("tiny", "1.0", slots=1, workers=frozenset()))
    rates = rates_between(before, counts_of(metrics), 2.0)[VERSION]
    assert (rates.answers_per_second, rates.tokens_per_second, rates.prompt_tokens_per_second) == (2, 20, 8)
    assert rates.failures_per_second == 0.5


def test_percentiles_are_of_what_came_between(metrics: Metrics) -> None:
    for _ in range(100):
        metrics.add_answer(answer(500))
    before = counts_of(metrics)
    for time in (0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 2.0):
        metrics.add_answer(answer(time))
    times = rates_between(before, counts_of(metrics), 1.0)[VERSION].first_token_seconds
    assert 0.025 < times["p50"] <= 0.05
    assert 1 < times["p95"] <= 2.5
    assert times["p95"] <= times["p99"] <= 2.5


def test_without_answers_there_are_no_percentiles(metrics: Metrics) -> None:
    metrics.add_answer(answer(0.03))
    counts = counts_of(metrics)
    rates = rates_between(counts, counts, 1.0)[VERSION]
    assert rates.first_token_seconds == {}
    assert rates.tokens_per_second == 0


def test_a_gateway_that_was_started_anew_counts_from_zero(metrics: Metrics) -> None:
    for _ in range(9):
        metrics.add_answer(answer(0.03))
    anew = Metrics(lambda: 0, lambda: 0)
    anew.add_answer(answer(0.03))
    assert rates_between(counts_of(metrics), counts_of(anew), 1.0)[VERSION].answers_per_second == 1


def test_one_that_has_answered_more_since_counts_from_zero_too(metrics: Metrics) -> None:
    """It has more answers than before, and fewer of something else."""
    metrics.add_answer(answer(0.03, tokens=500))
    anew = Metrics(lambda: 0, lambda: 0)
    for _ in range(2):
        anew.add_answer(answer(200, tokens=10))
    rates = rates_between(counts_of(metrics), counts_of(anew), 1.0)[VERSION]
    assert (rates.answers_per_second, rates.tokens_per_second) == (2, 20)
    assert rates.first_token_seconds["p50"] > 100


def test_a_failure_before_there_was_a_version_is_of_none(metrics: Metrics) -> None:
    metrics.add_failure(ErrorCode.MODEL_NOT_FOUND, None)
    assert VERSION not in counts_of(metrics)
