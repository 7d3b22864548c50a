"""What the commands on versions refuse, and with which exit code."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from adapter.control.client import ControlClient
from adapter.durable import disk_space
from adapter.errors import UpstreamProtocol
from tests.adapter.archives.repacking import damage
from tests.adapter.commands.conftest import Run
from tests.adapter.commands.refusals import expect_refusal
from tests.adapter.versions.fake_server import FakeServer, make_archive


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        pytest.param(("promote", "9.0"), "tiny has no version 9.0. Deployed: 1.0, 2.0.", id="unknown version"),
        pytest.param(("promote", "1.0", "--model", "x"), "There is no model 'x' here. Served: tiny.", id="no model"),
        pytest.param(("retire", "2.0"), "promote another one first", id="the default"),
        pytest.param(("scale", "2.0", "--workers", "0"), "without a worker nobody would be answered", id="unload"),
        pytest.param(("deploy", "/absent.mar"), "No such file", id="no file"),
        pytest.param(("apply", "/absent.yaml"), "No such file", id="no models.yaml"),
        pytest.param(("canary", "9.0", "--percent", "5"), "tiny has no version 9.0", id="canary"),
        pytest.param(("default-model", "x"), "There is no model 'x' here. Served: tiny.", id="no default model"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], reason: str
) -> None:
    state = server.state
    assert run(*command) == 1
    expect_refusal(capsys, reason)
    assert (server.state, server.management.changes, server.journal.unfinished()) == (state, [], None)


def test_a_damaged_file_of_a_version_that_is_loaded_already_is_a_refusal(
    server: FakeServer, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = make_archive(tmp_path / "release", "1.0")
    damage(archive)
    assert run("deploy", str(archive)) == 1
    output, refusal = capsys.readouterr()
    assert "its content has changed" in refusal
    assert "already deployed" not in output
    assert (server.state.models["tiny"].default, server.management.changes) == ("2.0", [])


def test_a_version_for_which_there_is_no_space_is_a_refusal_with_an_exit_code_of_its_own(
    server: FakeServer, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    assert run("deploy", str(make_archive(tmp_path / "release", "3.0"))) == 6
    expect_refusal(capsys, f" MB in {server.files.run_directory}, 1.0 MB are free.")
    assert (server.management.changes, server.journal.unfinished()) == ([], None)


def test_torchserve_without_space_to_unpack_is_the_same_refusal(
    server: FakeServer, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = server.files.unpacked / "models123.download"

    def register(_: str) -> None:
        half.mkdir(parents=True)
        monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        raise UpstreamProtocol("Failed to save model")

    monkeypatch.setattr(server.management, "register", register)
    assert run("deploy", str(make_archive(tmp_path / "release", "3.0"))) == 6
    assert f" in {server.files.unpacked}, 0 bytes are free." in capsys.readouterr().err
    assert not half.exists()


def test_a_worker_that_is_not_ready_is_a_refusal(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    server.management.models["tiny"]["1.0"] = [False]
    assert run("rollback") == 1
    expect_refusal(capsys, "tiny 1.0 has no worker that is ready")


def test_while_another_command_is_at_it_the_exit_code_says_so(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with server.locked("deploy tiny-3.0.mar"):
        assert run("rollback") == 5
        expect_refusal(capsys, "Another command is changing this server: deploy tiny-3.0.mar (process ")
        assert run("status") == 0


@pytest.mark.parametrize("command", [("status",), ("rollback",), ("scale", "1.0", "--workers", "0")], ids=" ".join)
def test_where_no_server_runs_it_says_so(
    run: Run, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert run(*command) == 1
    expect_refusal(capsys, "torchbridge serve starts one")


@pytest.mark.parametrize("command", [("status",), ("retire", "1.0")], ids=" ".join)
def test_where_the_gateway_does_not_run_it_says_so(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    server.gateway = ControlClient(server.files.run_directory / "control.sock")
    assert run(*command) == 1
    expect_refusal(capsys, "No gateway runs in")
