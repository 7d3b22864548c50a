from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.rollout import carrying_out
from adapter.rollout.carrying_out import OrderSender
from adapter.rollout.journal import RolloutJournal
from adapter.rollout.rollout import RolloutController
from adapter.versions.desired_state import DesiredState
from tests.adapter.rollout.fake_hosts import FakeHost, HostClock
from tests.adapter.versions.fake_server import Lines, let_versions_answer_as_recorded, make_archive

NAMES = ("a", "b", "c", "d")
TWO = NAMES[:2]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HostClock:
    clock = HostClock()
    for module in ("torchserve.loading", "versions.changes", "versions.deployment", "rollout.carrying_out"):
        monkeypatch.setattr(f"adapter.{module}.time", clock)
    assert carrying_out.time is clock
    return clock


@pytest.fixture
def hosts(tmp_path: Path, clock: HostClock, monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeHost]:
    """Four, which serve tiny 1.0."""
    let_versions_answer_as_recorded(monkeypatch)
    hosts = {name: FakeHost(name, tmp_path, clock) for name in NAMES}
    for host in hosts.values():
        host.server.serve("1.0")
    return hosts


@pytest.fixture
def desired(tmp_path: Path) -> DesiredState:
    """That 2.0 takes the place of 1.0."""
    archive = str(make_archive(tmp_path / "archives", "2.0"))
    return DesiredState.model_validate(
        {"models": {"tiny": {"default": "2.0", "versions": {"2.0": {"archive": archive}}}}}
    )


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def controller(tmp_path: Path, hosts: dict[str, FakeHost], lines: Lines) -> Callable[[], RolloutController]:
    """Of a new command each time: what it knows is in the journal."""

    def make() -> RolloutController:
        journal = RolloutJournal(tmp_path / "rollout.jsonl")
        return RolloutController(journal, OrderSender(lines, timeout=3_600), hosts.__getitem__, lines)  # type: ignore[arg-type]

    return make
