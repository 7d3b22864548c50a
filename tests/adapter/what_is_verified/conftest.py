from pathlib import Path
from typing import NoReturn

import pytest

from adapter.archives.signing_keys import create_key_pair
from adapter.serving import whole_stack
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines, let_versions_answer_as_recorded, make_archive
from tests.adapter.what_is_verified.loading_commands import Started


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Where release.key, release.pub and those of another are."""
    for name in ("release", "other"):
        create_key_pair(tmp_path / name)
    return tmp_path


@pytest.fixture
def public(keys: Path) -> Path:
    return keys / "release.pub"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """With tiny 1.0, in the place of the one that the run directory stands for."""

    def start(*_: object) -> NoReturn:
        raise Started

    clock = Clock()
    for module in ("torchserve.loading", "versions.changes", "versions.deployment"):
        monkeypatch.setattr(f"adapter.{module}.time", clock)
    let_versions_answer_as_recorded(monkeypatch)
    server = FakeServer(tmp_path / "run", clock)
    server.serve("1.0")
    for module in ("apply", "changing_server", "deploy"):
        monkeypatch.setattr(f"adapter.commands.{module}.RunningServer", lambda _: server)
    monkeypatch.setattr("adapter.commands.archive_checks.served_alone", start)
    monkeypatch.setattr(whole_stack, "check_torchserve_ports", lambda _: None)
    return server


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "release archives", "2.0")
