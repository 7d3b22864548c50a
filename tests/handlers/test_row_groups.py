"""Where rows are cut into groups: at the least cost, whatever their lengths."""

import random
from itertools import combinations, pairwise

import pytest

from handlers.row_groups import RowGroup, cut_into_groups


def cost_of(groups: list[RowGroup], cost: float) -> float:
    return sum(cost + (group.stop - group.start) * group.length for group in groups)


def least_cost(lengths: list[int], cost: float) -> float:
    """Of all ways to cut them."""
    ways = [
        [RowGroup(start, stop, max(lengths[start:stop])) for start, stop in pairwise([0, *cuts, len(lengths)])]
        for count in range(len(lengths))
        for cuts in combinations(range(1, len(lengths)), count)
    ]
    return min(cost_of(groups, cost) for groups in ways)


def test_no_rows_are_no_groups() -> None:
    assert cut_into_groups([], 100) == []


def test_rows_of_like_length_are_one_group() -> None:
    assert cut_into_groups(range(100, 164), 5_000) == [RowGroup(0, 64, 163)]


def test_a_long_row_among_short_ones_is_a_group_of_its_own() -> None:
    lengths = [20] * 30 + [3_900] + [20] * 33

    assert cut_into_groups(lengths, 100) == [RowGroup(0, 30, 20), RowGroup(30, 31, 3_900), RowGroup(31, 64, 20)]


def test_a_difference_that_costs_less_than_a_group_is_read_along() -> None:
    assert cut_into_groups([20, 60, 20], 100) == [RowGroup(0, 3, 60)]


def test_where_the_price_is_not_known_all_rows_are_one_group() -> None:
    assert cut_into_groups([20, 3_900, 20], float("inf")) == [RowGroup(0, 3, 3_900)]


@pytest.mark.parametrize("seed", range(50))
def test_no_other_groups_cost_less(seed: int) -> None:
    chance = random.Random(seed)
    lengths = [chance.choice([chance.randint(1, 40), chance.randint(1, 400)]) for _ in range(chance.randint(1, 10))]
    cost = chance.choice([0, 10, 100, 1_000])
    groups = cut_into_groups(lengths, cost)

    assert [row for group in groups for row in range(group.start, group.stop)] == list(range(len(lengths)))
    assert all(group.length == max(lengths[group.start : group.stop]) for group in groups)
    assert cost_of(groups, cost) == least_cost(lengths, cost)


def test_many_rows_are_cut_as_few_are() -> None:
    lengths = [10, 4_000] * 500
    groups = cut_into_groups(lengths, 20.0)

    assert groups == [RowGroup(row, row + 1, length) for row, length in enumerate(lengths)]
