"""The table of faults names tests that there are, and counts what they say."""

import ast
from pathlib import Path

import pytest

from tests.faults import repeated
from tests.faults.listed import LISTED, Listed
from tests.faults.under_load import FAULTS
from tests.project import PROJECT

SAMPLE = """
import pytest


@pytest.mark.parametrize("number", [1, 2, 3])
def test_of_which_one_case_in_three_does_not_hold(number: int) -> None:
    assert number != 2


def test_that_is_skipped() -> None:
    pytest.skip("not here")
"""


def test_there_are_more_than_thirty() -> None:
    assert len(LISTED) + len(FAULTS) > 30
    assert len({each.fault for each in LISTED}) == len(LISTED)


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: listed.fault)
def test_a_listed_test_is_there(listed: Listed) -> None:
    tree = ast.parse((PROJECT / "tests" / listed.file).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert listed.test in names


def test_runs_are_counted_by_case_and_skipped_ones_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "PROJECT", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_sample.py").write_text(SAMPLE)
    names = ("test_of_which_one_case_in_three_does_not_hold", "test_that_is_skipped")
    held = repeated.repeat([Listed(name, "test_sample.py", name) for name in names], 2, tmp_path)
    assert held == dict(zip(names, (repeated.Held(6, 2), repeated.Held(0, 0)), strict=True))
