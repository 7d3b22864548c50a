"""`torchbridge doctor` on a server: its directory, its record, its gateway and its logs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.compilation import Compilation, CompilationState
from adapter.control.client import ControlClient, GatewayNotRunning
from adapter.control.messages import ModelTraffic, TrafficReport, VersionTraffic, control_socket
from adapter.doctor import server
from adapter.doctor.finding import Scene, Severity
from adapter.torchserve.run_directory import RunDirectory
from adapter.versions.journal import Journal, Operation, Step
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ModelState, ServerState, VersionState
from tests.adapter.doctor.findings import found

SHA256 = "0" * 64


def test_a_run_directory_that_others_may_write(scene: Scene) -> None:
    scene.run_directory.chmod(0o777)
    assert "Other users may write" in found(server.check_run_directory, scene).what
    assert scene.run_directory.stat().st_mode & 0o777 == 0o777  # it is looked at, and not touched


def test_a_run_directory_with_too_long_a_path(scene: Scene) -> None:
    assert (
        "too long a path" in found(server.check_run_directory, replace(scene, run_directory=Path("/" + "a" * 90))).what
    )


def test_a_record_that_is_damaged(scene: Scene) -> None:
    ServerFiles(scene.run_directory).state.write_text("{")
    assert "is damaged" in found(server.check_versions, scene).what


@pytest.fixture
def recorded(scene: Scene) -> ServerFiles:
    files = ServerFiles(scene.run_directory)
    version = VersionState(archive="tiny-1.0.mar", digest=SHA256, sha256=SHA256)
    ServerState(models={"tiny": ModelState(default="1.0", versions={"1.0": version})}).write(files.state)
    return files


def test_an_archive_that_is_gone(scene: Scene, recorded: ServerFiles) -> None:
    assert f"{recorded.store / 'tiny-1.0.mar'} is missing" in found(server.check_versions, scene).what


def test_an_archive_that_is_another_one(scene: Scene, recorded: ServerFiles) -> None:
    recorded.store.mkdir()
    (recorded.store / "tiny-1.0.mar").write_bytes(b"another one")
    assert "is not the file that was verified" in found(server.check_versions, scene).what


def test_a_change_that_was_interrupted(scene: Scene) -> None:
    journal = Journal(ServerFiles(scene.run_directory).journal)
    operation = Operation(kind="promote", model="tiny", version="2.0")
    journal.begin(operation)
    journal.step(operation, Step.PROMOTE)
    assert "The promote of tiny 2.0 was interrupted" in found(server.check_changes, scene).what


def test_a_server_that_was_killed(scene: Scene) -> None:
    (scene.run_directory / "key_file.json").touch()
    control_socket(scene.run_directory).touch()
    assert "ended without clearing up" in found(server.check_gateway, scene).what


def test_a_server_that_runs_without_a_control_socket(scene: Scene) -> None:
    with RunDirectory(scene.run_directory).lock():
        (scene.run_directory / "key_file.json").touch()
        assert "is still starting, or control.sock was deleted" in found(server.check_gateway, scene).what
        with pytest.raises(GatewayNotRunning, match=r"control\.sock was deleted: then stop it"):
            ControlClient(control_socket(scene.run_directory)).traffic()


@contextmanager
def deaf_gateway(run_directory: Path) -> Iterator[None]:
    """Takes connections, and ends them without a word."""
    program = (
        "import socket,sys\nserver=socket.socket(socket.AF_UNIX)\nserver.bind(sys.argv[1])\nserver.listen()\n"
        "print('listening', flush=True)\nwhile True: server.accept()[0].close()"
    )
    command = [sys.executable, "-c", program, str(control_socket(run_directory))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def test_a_gateway_that_does_not_answer(scene: Scene) -> None:
    with deaf_gateway(scene.run_directory):
        assert "does not answer" in found(server.check_gateway, scene).what


def record(scene: Scene, default: str, workers: dict[str, int]) -> None:
    versions = {
        version: VersionState(archive="tiny.mar", digest="", sha256=SHA256, workers=number)
        for version, number in workers.items()
    }
    state = ServerState(models={"tiny": ModelState(default=default, versions=versions)})
    state.write(ServerFiles(scene.run_directory).state)


@pytest.fixture
def one_worker(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """TorchServe has 1.0 without a worker, and 2.0 with one."""
    versions = [
        VersionTraffic(
            version=version,
            is_default=version == "2.0",
            ready_workers=version == "2.0",
            live_requests=0,
            oldest_live_seconds=None,
            waiting_requests=0,
            running_requests=0,
            held_requests=0,
        )
        for version in ("1.0", "2.0")
    ]
    model = ModelTraffic(name="tiny", default_version="2.0", versions=tuple(versions), canary=None)
    monkeypatch.setattr(ControlClient, "traffic", lambda _: TrafficReport(models=(model,)))
    with deaf_gateway(scene.run_directory):
        yield


@pytest.mark.usefixtures("one_worker")
@pytest.mark.parametrize(
    ("default", "is_wrong", "remedy"), [("1.0", True, "torchbridge rollback"), ("2.0", False, "torchbridge retire 1.0")]
)
def test_a_version_without_a_worker(scene: Scene, default: str, *, is_wrong: bool, remedy: str) -> None:
    record(scene, default, {"1.0": 1, "2.0": 1})
    finding = found(server.check_gateway, scene)

    assert "tiny 1.0 has no worker that is ready" in finding.what
    assert remedy in finding.remedy
    assert (finding.severity is Severity.WRONG) is is_wrong


@pytest.mark.usefixtures("one_worker")
def test_a_version_that_torchserve_does_not_have(scene: Scene) -> None:
    record(scene, "2.0", {"2.0": 1, "3.0": 1})
    assert "tiny 3.0 has no worker that is ready" in found(server.check_gateway, scene).what


@pytest.mark.usefixtures("one_worker")
def test_a_version_that_was_unloaded_needs_no_worker(scene: Scene) -> None:
    record(scene, "2.0", {"1.0": 0, "2.0": 1})
    assert list(server.check_gateway(scene)) == []


def test_steps_that_are_not_compiled(scene: Scene, recorded: ServerFiles) -> None:
    compilation = Compilation(state=CompilationState.NOT_COMPILED, reason="there is no compiler")
    compilation.write(recorded.compilations, "tiny", "0.9")  # which is retired
    assert list(server.check_compilations(scene)) == []
    compilation.write(recorded.compilations, "tiny", "1.0")
    assert (
        "The steps of tiny 1.0 are not compiled: there is no compiler." in found(server.check_compilations, scene).what
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            'Exception in thread "epollEventLoopGroup-3-1" java.lang.OutOfMemoryError: Java heap space',
            "memory of Java's",
        ),
        ("W-9000-tiny_1.0-stdout - torchbridge: cannot load the model: it lacks a tensor", "it lacks a tensor"),
        ("W-9000-tiny_1.0-stderr - Fatal Python error: Segmentation fault", "A worker crashed"),
        ("ERROR W-9000 - Backend worker error: Backend worker did not respond in given time", "answer in time"),
        ("ERROR W-9000 - Backend worker error: Backend worker startup time out.", "within two minutes"),
        ("java.io.IOException: No space left on device", "A disk was full"),
        ("java.net.SocketException: Too many open files", "Files ran out"),
    ],
)
def test_what_a_log_tells(scene: Scene, line: str, words: str) -> None:
    logs = scene.run_directory / "logs"
    logs.mkdir()
    (logs / "model_log.log").write_text(f"something before\n{line}\nsomething after\n")
    assert words in found(server.check_logs, scene).what
