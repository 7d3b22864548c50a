import pytest

from adapter.errors import ERROR_BY_CODE, from_problem
from adapter.schema import ERROR_CATALOGUE, ErrorCode, Problem

MOST_SECONDS_THAT_CLIENTS_WAIT = 60


def test_every_code_is_in_the_catalogue() -> None:
    assert list(ERROR_CATALOGUE) == list(ErrorCode)


def test_every_code_has_an_exception_of_its_own() -> None:
    assert set(ERROR_BY_CODE) == set(ErrorCode)
    assert len(set(ERROR_BY_CODE.values())) == len(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_becomes_its_exception_and_back(code: ErrorCode) -> None:
    problem = Problem.of(code, "why")
    assert from_problem(problem).to_problem() == problem


@pytest.mark.parametrize("code", ErrorCode)
def test_a_failure_that_is_worth_a_retry_says_when(code: ErrorCode) -> None:
    kind = ERROR_CATALOGUE[code]
    assert kind.retryable == (kind.retry_after is not None)
    assert kind.retry_after is None or 1 <= kind.retry_after <= MOST_SECONDS_THAT_CLIENTS_WAIT


@pytest.mark.parametrize("code", [c for c in ErrorCode if ERROR_CATALOGUE[c].status in {429, 503}])
def test_busy_and_unavailable_are_worth_a_retry(code: ErrorCode) -> None:
    assert ERROR_CATALOGUE[code].retryable
