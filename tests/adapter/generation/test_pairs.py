"""Which requests are compared, and with what result."""

import pytest

from adapter.generation.pairs import Pairs, Side
from adapter.generation.timed_attempt import Duration
from tests.adapter.generation.fake_attempt import FakeAttempt

SLOWDOWN = 2.0


def new_pairs() -> Pairs:
    return Pairs(SLOWDOWN, lambda attempt: attempt.first_token)


def took(seconds: float) -> FakeAttempt:
    return FakeAttempt(Duration(seconds, is_whole=True))


def cut_after(seconds: float) -> FakeAttempt:
    return FakeAttempt(Duration(seconds, is_whole=False))


def running_for(seconds: float) -> FakeAttempt:
    return FakeAttempt(Duration(seconds, is_whole=False), is_over=False)


def begin(pairs: Pairs, *attempts: tuple[Side, FakeAttempt], size: int = 1) -> tuple[int, int]:
    for side, attempt in attempts:
        pairs.begin(attempt, side, size)
    return counts(pairs)


def counts(pairs: Pairs) -> tuple[int, int]:
    pairs.settle()
    return pairs.num_slower, pairs.num_not_slower


# What a pair tells


@pytest.mark.parametrize(
    ("canary", "control", "told"),
    [
        pytest.param(took(2.1), took(1), (1, 0), id="longer than it may"),
        pytest.param(took(2.0), took(1), (0, 1), id="just as long as it may"),
        pytest.param(took(0), took(0), (0, 1), id="both no time at all"),
        pytest.param(cut_after(2.1), took(1), (1, 0), id="cut when it was too slow already"),
        pytest.param(cut_after(2.0), took(1), (0, 0), id="cut before"),
        pytest.param(took(2.0), cut_after(1), (0, 1), id="the control is cut, slow enough to tell"),
        pytest.param(took(2.1), cut_after(1), (0, 0), id="the control is cut before"),
        pytest.param(cut_after(9), cut_after(1), (0, 0), id="both cut"),
        pytest.param(running_for(2.1), took(1), (1, 0), id="it runs, and is too slow already"),
        pytest.param(took(2.0), running_for(1), (0, 1), id="the control runs, and is slow enough already"),
    ],
)
def test_a_pair_says_whether_the_canary_is_slower_than_it_may_be_or_nothing(
    canary: FakeAttempt, control: FakeAttempt, told: tuple[int, int]
) -> None:
    assert begin(new_pairs(), ("canary", canary), ("control", control)) == told
    assert begin(new_pairs(), ("control", control), ("canary", canary)) == told


def test_a_pair_counts_once_however_often_one_looks() -> None:
    pairs = new_pairs()
    begin(pairs, ("canary", took(9)), ("control", took(1)))
    assert [counts(pairs) for _ in range(3)] == [(1, 0)] * 3


# Which requests are a pair


def test_the_latest_one_on_the_other_side_is_its_partner() -> None:
    assert begin(new_pairs(), ("control", took(1)), ("control", took(9)), ("canary", took(9))) == (0, 1)


def test_a_request_is_of_one_pair_at_most() -> None:
    assert begin(new_pairs(), ("canary", took(1)), ("control", took(1)), ("control", took(1))) == (0, 1)


def test_one_side_alone_is_no_pair() -> None:
    assert begin(new_pairs(), ("canary", took(1)), ("canary", took(1))) == (0, 0)


def test_prompts_of_other_sizes_are_not_compared() -> None:
    pairs = new_pairs()
    begin(pairs, ("canary", took(100)), size=9)
    assert begin(pairs, ("control", took(1)), size=1) == (0, 0)
    assert begin(pairs, ("control", took(100)), size=9) == (0, 1)


def test_while_a_pair_is_open_nothing_else_is_compared() -> None:
    pairs, slow = new_pairs(), running_for(0)
    begin(pairs, ("canary", slow), ("control", took(1)))
    assert begin(pairs, ("canary", took(9)), ("control", took(1))) == (0, 0)
    slow.first_token = Duration(3, is_whole=True)
    assert counts(pairs) == (1, 0)


def test_only_what_begins_after_a_pair_is_of_the_next_one() -> None:
    pairs, slow = new_pairs(), running_for(0)
    begin(pairs, ("canary", took(9)), size=5)  # before the first pair
    begin(pairs, ("canary", slow), ("control", took(1)))
    begin(pairs, ("canary", took(9)), size=6)  # while it was open
    slow.first_token = Duration(3, is_whole=True)
    for size in (5, 6):
        assert begin(pairs, ("control", took(1)), size=size) == (1, 0)
    assert begin(pairs, ("canary", took(1)), size=6) == (1, 1)


def test_a_pair_that_cannot_tell_any_more_makes_room() -> None:
    pairs, slow = new_pairs(), running_for(0)
    begin(pairs, ("canary", slow), ("control", took(1)))
    slow.is_over = True
    assert begin(pairs, ("canary", took(1)), ("control", took(1))) == (0, 1)


def test_a_pair_that_is_given_has_to_wait_for_the_one_that_is_open() -> None:
    pairs, slow = new_pairs(), running_for(0)
    pairs.compare(slow, took(1))
    pairs.compare(took(9), took(1))
    assert counts(pairs) == (0, 0)
    slow.first_token = Duration(3, is_whole=True)
    pairs.compare(took(1), took(1))
    assert counts(pairs) == (1, 1)
