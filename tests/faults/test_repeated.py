"""Tests that are run again and again: each run is counted, and the time that there is holds for all of them."""

from pathlib import Path

import pytest

from tests.faults import repeated
from tests.faults.listed import Listed
from tests.faults.record import Outcome, Run, Tally

SAMPLE = """
import pytest


@pytest.mark.parametrize("number", [1, 2, 3])
def test_of_which_one_case_in_three_does_not_hold(number: int) -> None:
    assert number != 2


def test_that_is_skipped() -> None:
    pytest.skip("not here")
"""
SPOILED = """
import pytest

pytestmark = pytest.mark.torchserve
num_runs = 0


def test_that_leaves_its_server_in_pieces() -> None:
    global num_runs
    num_runs += 1
    assert num_runs < 2


def test_that_needs_the_server() -> None:
    assert num_runs < 2
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a project with tests of its own, and the plugin of this one."""
    monkeypatch.setenv("PYTHONPATH", str(repeated.PROJECT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the sample needs none of them
    monkeypatch.setattr(repeated, "PROJECT", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = torchserve\n")
    (tmp_path / "tests").mkdir()
    return tmp_path


def repeat(directory: Path, content: str, rounds: int, *names: str, deadline: float | None = None) -> list[Tally]:
    (directory / "tests" / "test_sample.py").write_text(content)
    listed = [Listed(name, "test_sample.py", name) for name in names]
    return list(repeated.repeat(listed, rounds, directory / "runs.jsonl", "abc", deadline).values())


def test_runs_are_counted_by_case_and_skipped_ones_are_none(directory: Path) -> None:
    names = ("test_of_which_one_case_in_three_does_not_hold", "test_that_is_skipped")
    held, skipped = repeat(directory, SAMPLE, 6, *names)
    assert held.outcomes == {Outcome.HELD: 4, Outcome.BROKEN: 2}
    assert held.num_cases == 3
    assert skipped.outcomes == {Outcome.SKIPPED: 1}


def test_it_goes_on_where_it_ended(directory: Path) -> None:
    name = "test_of_which_one_case_in_three_does_not_hold"
    assert repeat(directory, SAMPLE, 3, name)[0].runs == 3
    assert repeat(directory, SAMPLE, 3, name)[0].runs == 3
    assert repeat(directory, SAMPLE, 12, name)[0].runs == 12


def test_what_comes_after_a_fault_that_left_pieces_is_run_over_a_new_server(directory: Path) -> None:
    leaves, needs = repeat(directory, SPOILED, 3, "test_that_leaves_its_server_in_pieces", "test_that_needs_the_server")
    assert leaves.outcomes == {Outcome.HELD: 2, Outcome.BROKEN: 1}
    assert needs.outcomes == {Outcome.HELD: 3}


def test_the_cheap_ones_have_all_their_runs_first() -> None:
    dear, cheap, cheapest = (Listed(name, "test_sample.py", name) for name in ("dear", "cheap", "cheapest"))
    seconds = {"dear": 60.0, "cheap": 0.5, "cheapest": 0.1}
    tallies = {
        name: Tally([Run(fault=name, outcome=Outcome.HELD, seconds=each, commit="abc")])
        for name, each in seconds.items()
    }
    turns = repeated.turns_of_a_sitting([dear, cheap, cheapest], tallies, 200, 130)
    assert turns == {cheapest.node: 199, cheap.node: 199}
    assert repeated.turns_of_a_sitting([dear, cheap], tallies, 200, 5) == {cheap.node: 10}
    assert repeated.turns_of_a_sitting([dear], tallies, 200, 5) == {dear.node: 1}


def test_when_the_time_is_over_nothing_more_is_begun(directory: Path) -> None:
    [tally] = repeat(directory, SAMPLE, 3, "test_of_which_one_case_in_three_does_not_hold", deadline=0)
    assert tally.runs == 0
