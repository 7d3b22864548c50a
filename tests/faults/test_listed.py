"""The table of faults names tests that there are."""

import ast

import pytest

from tests.faults.listed import LISTED, Listed
from tests.faults.made import FAULTS
from tests.project import PROJECT


def test_there_are_more_than_thirty() -> None:
    assert len(LISTED) + len(FAULTS) > 30
    assert len({*FAULTS, *(each.fault for each in LISTED)}) == len(LISTED) + len(FAULTS)


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: listed.fault)
def test_a_listed_test_is_there(listed: Listed) -> None:
    tree = ast.parse((PROJECT / "tests" / listed.file).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert listed.test in names
