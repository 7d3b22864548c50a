from pathlib import Path

import pytest

from tests.adapter.versions.fake_server import Clock, FakeServer, Lines

_WAITING = ("torchserve.loading", "versions.changes", "versions.deployment")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of those that wait for something of a version."""
    clock = Clock()
    for module in _WAITING:
        monkeypatch.setattr(f"adapter.{module}.time", clock)
    return clock


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> FakeServer:
    return FakeServer(tmp_path / "run", clock)


@pytest.fixture
def lines() -> Lines:
    return Lines()
