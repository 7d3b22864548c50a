import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.errors import ERROR_BY_CODE, from_problem
from adapter.schema import ERROR_CATALOGUE, ErrorCode, Problem
from adapter.torchserve.worker_answer import CALLERS_FAULTS, WORKERS_FAULTS

ROOT = Path(__file__).parents[2]

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


def test_every_code_says_what_it_is() -> None:
    titles = [kind.title for kind in ERROR_CATALOGUE.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    assert all(400 <= kind.status <= 599 for kind in ERROR_CATALOGUE.values())


@pytest.mark.parametrize("file", sorted((ROOT / "handlers").glob("*.py")), ids=lambda file: file.stem)
def test_the_gateway_believes_each_code_that_the_handler_sends(file: Path) -> None:
    sent = {ErrorCode[name] for name in re.findall(r"ErrorCode\.([A-Z_]+)", file.read_text())}
    assert sent <= CALLERS_FAULTS | WORKERS_FAULTS


def words_of_expectations() -> Iterator[str]:
    """The names and strings of every assert, pytest.raises, list of parameters and table of expected codes."""
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            is_call = isinstance(node, ast.Call) and re.search(r"raises|param|expect", ast.unparse(node.func))
            if (
                isinstance(node, ast.Assert)
                or is_call
                or (file.stem == "expected_codes" and isinstance(node, ast.Dict))
            ):
                for part in ast.walk(node):
                    yield getattr(part, "attr", None) or getattr(part, "id", None) or str(getattr(part, "value", ""))


def test_every_code_is_what_a_test_expects_of_something() -> None:
    expected = set(words_of_expectations())
    untested = {code for code in ErrorCode if not expected & {code.name, code.value, ERROR_BY_CODE[code].__name__}}
    assert untested == set()
