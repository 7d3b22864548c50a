"""The upper end of Clopper and Pearson's interval, beside published values."""

import pytest

from tests.faults.proportion import upper_bound


# R 4: binom.test(seen, trials)$conf.int[2]
@pytest.mark.parametrize(
    ("seen", "trials", "expected"),
    [(0, 10, 0.3084971), (1, 10, 0.4450161), (5, 10, 0.8129140), (0, 100, 0.0362167), (3, 1_000, 0.0087419)],
)
def test_it_is_that_of_clopper_and_pearson(seen: int, trials: int, expected: float) -> None:
    assert upper_bound(seen, trials) == pytest.approx(expected, abs=5e-6)


def test_without_a_failure_it_is_what_one_would_say_without_a_computer() -> None:
    assert upper_bound(0, 30) == pytest.approx(1 - 0.025 ** (1 / 30))


def test_of_nothing_nothing_is_known() -> None:
    assert upper_bound(0, 0) == upper_bound(7, 7) == 1


@pytest.mark.parametrize(("seen", "trials"), [(2, 1), (-1, 5)])
def test_more_than_there_were_is_refused(seen: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"{seen} of {trials}"):
        upper_bound(seen, trials)
