"""A plugin of pytest (`-p tests.faults.again --plan FILE`): each test has its turns, and each end is written down."""

import time
from collections import Counter
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from tests.faults.record import Outcome, Run, add


class Plan(BaseModel):
    """faults, turns: by test, as pytest names it. deadline: of time.monotonic()."""

    model_config = ConfigDict(frozen=True)

    faults: dict[str, str]
    turns: dict[str, int]
    record: Path
    commit: str
    deadline: float | None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plan", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    plan = Plan.model_validate_json(config.getoption("--plan").read_text())
    config.pluginmanager.register(_Turns(plan))


class _Turns:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seconds: Counter[str] = Counter()
        self._outcomes: dict[str, Outcome] = {}
        self._spoiled: set[Path] = set()
        self._left_out: set[str] = set()

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)  # the test's own cases are the outer loop
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("turn_of_fault")
        turns = self._plan.turns.get(_test_of(metafunc.definition.nodeid), 1)  # of a file all tests are collected
        metafunc.parametrize("turn_of_fault", range(turns))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A server that another fault has left in pieces says nothing of this one: the next sitting has a new one."""
        if item.path in self._spoiled and item.get_closest_marker("torchserve"):
            self._left_out.add(item.nodeid)
            pytest.skip("its server is not what it was")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Thrice for each: it is set up, called, and taken down."""
        node = report.nodeid
        self._seconds[node] += report.duration
        outcome = Outcome(report.outcome) if report.skipped else Outcome.BROKEN if report.failed else Outcome.HELD
        if self._outcomes.get(node, Outcome.HELD) is Outcome.HELD:
            self._outcomes[node] = outcome
        if report.when == "teardown":
            if node not in self._left_out:
                self._write(node)
            if self._plan.deadline is not None and time.monotonic() > self._plan.deadline:
                self._session.shouldstop = "the time is over"

    def _write(self, node: str) -> None:
        plan, test = self._plan, _test_of(node)
        outcome = self._outcomes[node]
        if outcome is Outcome.BROKEN:
            self._spoiled.add(self._session.config.rootpath / node.partition("::")[0])
        case = node.removeprefix(test).strip("[]").rpartition("-")[0]
        run = Run(fault=plan.faults[test], case=case, outcome=outcome, seconds=self._seconds[node], commit=plan.commit)
        add(run, plan.record)


def _test_of(node: str) -> str:
    return node.partition("[")[0]
