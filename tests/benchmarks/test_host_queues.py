"""The simulation of hosts behind a balancer, beside what is known without one. No time passes in it."""

import statistics

import pytest

from benchmarks.host_queues import Rate, Request, answer, arrivals

ONE_SLOT = Rate(((1, 10.0),))  # tokens a second


def test_a_queue_before_one_slot_is_as_long_as_theory_has_it() -> None:
    """Pollaczek and Khinchine: load / (2 * (1 - load)) of the time of an answer, where all take the same time."""
    answered = answer(arrivals(0.8, (10,), seconds=20_000, seed=1), 1, ONE_SLOT)
    assert statistics.mean(each.waited for each in answered) == pytest.approx(2.0, rel=0.05)
    assert {round(each.took, 6) for each in answered} == {1.0}


def test_requests_share_the_rate_of_their_host() -> None:
    both = answer([Request(0.0, 10), Request(0.0, 20)], 1, Rate(((1, 10.0), (2, 10.0))))
    assert [(each.tokens, round(each.total, 6)) for each in both] == [(10, 2.0), (20, 3.0)]


def test_the_host_with_the_fewest_is_given_the_next_one() -> None:
    answered = answer([Request(0.0, 10)] * 4, 4, ONE_SLOT)
    assert [(each.waited, round(each.took, 6)) for each in answered] == [(0.0, 1.0)] * 4


def test_every_request_is_answered_once() -> None:
    requests = arrivals(50, (16, 64), seconds=20, seed=2)
    answered = answer(requests, 4, Rate(((1, 88.5), (4, 267.8), (16, 588.6))))
    assert sorted(each.tokens for each in answered) == sorted(each.tokens for each in requests)
