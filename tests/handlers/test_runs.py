"""Where rows are cut into runs: at the least cost, whatever their lengths."""

import random
from itertools import combinations, pairwise

import pytest

from handlers.runs import Run, cut_into_runs


def cost_of(runs: list[Run], cost: float) -> float:
    return sum(cost + (run.stop - run.start) * run.length for run in runs)


def least_cost(lengths: list[int], cost: float) -> float:
    """Of all ways to cut them."""
    ways = [
        [Run(start, stop, max(lengths[start:stop])) for start, stop in pairwise([0, *cuts, len(lengths)])]
        for count in range(len(lengths))
        for cuts in combinations(range(1, len(lengths)), count)
    ]
    return min(cost_of(runs, cost) for runs in ways)


def test_no_rows_are_no_runs() -> None:
    assert cut_into_runs([], 100) == []


def test_rows_of_like_length_are_one_run() -> None:
    assert cut_into_runs(range(100, 164), 5_000) == [Run(0, 64, 163)]


def test_a_long_row_among_short_ones_is_a_run_of_its_own() -> None:
    lengths = [20] * 30 + [3_900] + [20] * 33

    assert cut_into_runs(lengths, 100) == [Run(0, 30, 20), Run(30, 31, 3_900), Run(31, 64, 20)]


def test_a_difference_that_costs_less_than_a_run_is_read_along() -> None:
    assert cut_into_runs([20, 60, 20], 100) == [Run(0, 3, 60)]


def test_where_the_price_is_not_known_all_rows_are_one_run() -> None:
    assert cut_into_runs([20, 3_900, 20], float("inf")) == [Run(0, 3, 3_900)]


@pytest.mark.parametrize("seed", range(50))
def test_no_other_runs_cost_less(seed: int) -> None:
    chance = random.Random(seed)
    lengths = [chance.choice([chance.randint(1, 40), chance.randint(1, 400)]) for _ in range(chance.randint(1, 10))]
    cost = chance.choice([0, 10, 100, 1_000])
    runs = cut_into_runs(lengths, cost)

    assert [row for run in runs for row in range(run.start, run.stop)] == list(range(len(lengths)))
    assert all(run.length == max(lengths[run.start : run.stop]) for run in runs)
    assert cost_of(runs, cost) == least_cost(lengths, cost)


def test_many_rows_are_cut_as_few_are() -> None:
    lengths = [10, 4_000] * 500
    runs = cut_into_runs(lengths, 20.0)

    assert runs == [Run(row, row + 1, length) for row, length in enumerate(lengths)]
