"""The rule that ends a canary, by what it says at its edges and by simulation."""

import os
import random
from collections.abc import Iterator
from functools import cache

import pytest

from adapter.generation.canary_rule import Decision, Interval, Rule, Tally, decide, interval

RULE = Rule()
SIDE_ALPHA = RULE.alpha / 2
EQUAL = 0.02
NUM_RUNS = 300 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 100
MOST_REQUESTS = 3_000  # on each side

_interval = cache(interval)  # the runs pass the same few tallies


@pytest.fixture(autouse=True)
def _remembered_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.generation.canary_rule.interval", _interval)


def judge(canary: tuple[int, int], control: tuple[int, int], rule: Rule = RULE) -> Decision:
    return rule.judge_failures(Tally(*canary), Tally(*control))


def judge_times(slower: int, not_slower: int, rule: Rule = RULE) -> Decision:
    return rule.judge_times(Tally(slower + not_slower, slower))


# Intervals


def test_nothing_seen_says_nothing() -> None:
    assert interval(Tally(0, 0), SIDE_ALPHA) == Interval(0.0, 1.0)


@pytest.mark.parametrize(
    "tally", [Tally(10, 0), Tally(10, 10), Tally(1_000, 30), Tally(1, 1), Tally(10**7, 5)], ids=str
)
def test_it_has_the_observed_rate_inside(tally: Tally) -> None:
    seen = interval(tally, SIDE_ALPHA)
    assert 0 <= seen.lower <= tally.failures / tally.trials <= seen.upper <= 1


def test_it_is_open_where_nothing_speaks_against_it() -> None:
    assert interval(Tally(50, 0), SIDE_ALPHA).lower == 0
    assert interval(Tally(50, 50), SIDE_ALPHA).upper == 1


def test_failures_and_successes_mirror_each_other() -> None:
    one, other = interval(Tally(200, 30), SIDE_ALPHA), interval(Tally(200, 170), SIDE_ALPHA)
    assert (one.lower, one.upper) == pytest.approx((1 - other.upper, 1 - other.lower))


def test_it_is_narrower_the_more_is_seen_and_wider_the_surer_one_wants_to_be() -> None:
    widths = [seen.upper - seen.lower for seen in (interval(Tally(n, n // 10), SIDE_ALPHA) for n in (50, 500, 5_000))]
    assert widths == sorted(widths, reverse=True)
    assert interval(Tally(500, 50), 0.001).upper > interval(Tally(500, 50), 0.05).upper


# Decisions


def test_what_never_fails_is_promoted_after_357_requests() -> None:
    assert RULE.num_without_failure() == 357
    assert judge((357, 0), (7_000, 0)) is Decision.PROMOTE
    assert judge((356, 0), (7_000, 0)) is Decision.GO_ON


@pytest.mark.parametrize("few", [0, 1, 99])
def test_neither_side_may_have_few_requests(few: int) -> None:
    assert judge((few, 0), (100_000, 0), Rule(margin=1.0)) is Decision.GO_ON
    assert judge((100_000, 0), (few, 0), Rule(margin=1.0)) is Decision.GO_ON
    assert judge((100, 0), (100, 0), Rule(margin=1.0)) is Decision.PROMOTE


def test_a_version_that_only_fails_is_aborted_soon() -> None:
    assert judge((1, 1), (200, 0)) is Decision.GO_ON
    assert judge((6, 6), (200, 0)) is Decision.GIVE_UP


def test_what_fails_more_often_is_aborted_although_within_the_margin() -> None:
    assert judge((10**6, 15_000), (10**6, 10_000)) is Decision.GIVE_UP


def test_failures_of_the_default_do_not_make_a_canary_better_than_it_is() -> None:
    assert judge((40, 0), (1_000, 900)) is Decision.GO_ON


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.5])
def test_a_wider_margin_needs_no_more_requests(margin: float) -> None:
    assert Rule(margin=margin, min_requests=1).num_without_failure() == pytest.approx(7.2 / margin, rel=0.5)
    assert Rule(margin=margin).num_without_failure() >= 100


def test_what_is_never_slower_or_always_is_known_after_a_few_pairs() -> None:
    assert [judge_times(0, pairs) for pairs in (6, 7)] == [Decision.GO_ON, Decision.PROMOTE]
    assert [judge_times(pairs, 0) for pairs in (8, 9)] == [Decision.GO_ON, Decision.GIVE_UP]


def test_what_is_slower_in_half_of_the_pairs_is_just_what_it_may_be() -> None:
    assert judge_times(10**6, 10**6) is Decision.GO_ON


def test_no_pair_says_nothing() -> None:
    assert judge_times(0, 0) is Decision.GO_ON


def test_tests_that_may_each_abort_by_mistake_share_the_error() -> None:
    alone = RULE._replace(max_slowdown=None)
    assert judge((100, 9), (2_000, 20), alone) is Decision.GIVE_UP
    assert judge((100, 9), (2_000, 20)) is Decision.GO_ON


PROMOTE, GIVE_UP, GO_ON = Decision.PROMOTE, Decision.GIVE_UP, Decision.GO_ON


@pytest.mark.parametrize(
    ("decisions", "together"),
    [
        ((PROMOTE,), PROMOTE),
        ((PROMOTE, PROMOTE, PROMOTE), PROMOTE),
        ((PROMOTE, GO_ON, PROMOTE), GO_ON),
        ((GO_ON, GIVE_UP, PROMOTE), GIVE_UP),
        ((), GO_ON),
    ],
)
def test_all_have_to_promote_and_one_may_abort(decisions: tuple[Decision, ...], together: Decision) -> None:
    assert decide(decisions) is together


# How often it is wrong


def decisions(canary_rate: float, control_rate: float, rule: Rule = RULE) -> Iterator[Decision]:
    """Of many canaries, each looked at after every tenth request on either side."""
    chance = random.Random(20260801)
    for _ in range(NUM_RUNS):
        canary = control = 0
        decision = Decision.GO_ON
        for trials in range(10, MOST_REQUESTS + 1, 10):
            canary += sum(chance.random() < canary_rate for _ in range(10))
            control += sum(chance.random() < control_rate for _ in range(10))
            decision = judge((trials, canary), (trials, control), rule)
            if decision is not Decision.GO_ON:
                break
        yield decision


def test_it_seldom_aborts_what_is_no_worse() -> None:
    seen = list(decisions(EQUAL, EQUAL))
    assert seen.count(Decision.GIVE_UP) <= NUM_RUNS * RULE.alpha
    assert seen.count(Decision.PROMOTE) > NUM_RUNS / 2


def test_it_seldom_promotes_what_is_worse_by_more_than_the_margin() -> None:
    seen = list(decisions(EQUAL + RULE.margin + 0.001, EQUAL))
    assert seen.count(Decision.PROMOTE) <= NUM_RUNS * RULE.alpha


def test_it_aborts_what_is_much_worse() -> None:
    seen = list(decisions(0.3, EQUAL))
    assert seen.count(Decision.GIVE_UP) == NUM_RUNS


def test_the_true_rate_is_seldom_ever_outside_of_the_interval() -> None:
    chance, rate, num_outside = random.Random(1), 0.05, 0
    for _ in range(NUM_RUNS):
        failures = 0
        for trials in range(1, 1_001):
            failures += chance.random() < rate
            seen = _interval(Tally(trials, failures), 0.1)
            if not seen.lower <= rate <= seen.upper:
                num_outside += 1
                break
    assert 0 < num_outside <= NUM_RUNS * 0.1
