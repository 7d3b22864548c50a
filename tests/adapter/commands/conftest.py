"""A server for the commands to change, and the commands as a shell calls them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapter import cli
from tests.adapter.versions.fake_server import Clock, FakeServer, let_versions_answer_as_recorded

Run = Callable[..., int]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """With tiny 1.0 and 2.0, the default, in the place of the one that the run directory stands for."""
    clock = Clock()
    for module in ("torchserve.loading", "versions.changes", "versions.deployment"):
        monkeypatch.setattr(f"adapter.{module}.time", clock)
    let_versions_answer_as_recorded(monkeypatch)
    server = FakeServer(tmp_path / "run", clock)
    server.serve("1.0", "2.0")
    for module in ("apply", "changing_server", "deploy", "versions"):
        monkeypatch.setattr(f"adapter.commands.{module}.RunningServer", lambda _: server)
    monkeypatch.setattr("adapter.commands.status.ObservedServer", lambda _: server)
    return server


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Its exit code."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["torchbridge", *arguments, "--run-directory", str(tmp_path / "run")])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0)

    return run


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """The results since it was asked last; nothing was said of a failure."""

    def said() -> str:
        output, errors = capsys.readouterr()
        assert "torchbridge: " not in errors
        return output

    return said


Said = Callable[[], str]
