"""Where versions are listed they come in the order in which they were made, as far as their numbers tell."""

import random

import pytest

from adapter.version_order import version_order


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param(["1.0", "2.0", "10.0", "11.0"], id="not by their first digits"),
        pytest.param(["1.9", "1.10", "1.10.1", "2"], id="number by number"),
        pytest.param(["2.0", "2.0-rc.2", "2.0-rc.10"], id="also behind words"),
        pytest.param(["1.1", "a1", "b2", "b10", "v3"], id="words after numbers"),
        pytest.param(["2026-03-01", "2026-11-30"], id="days"),
        pytest.param(["1.01", "1.1"], id="which say the same number"),
    ],
)
def test_versions_are_in_the_order_of_their_numbers(versions: list[str]) -> None:
    mixed = [random.Random(seed).sample(versions, len(versions)) for seed in range(5)]
    assert [sorted(each, key=version_order) for each in mixed] == [versions] * 5
