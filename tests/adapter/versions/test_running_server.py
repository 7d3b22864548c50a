"""How a command finds the server of a run directory, and keeps other commands away from it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapter.control.messages import control_socket
from adapter.durable.private_directory import NotPrivate
from adapter.torchserve.run_directory import RunDirectory
from adapter.versions.errors import ServerBusy, ServerNotRunning
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState
from tests.project import PROJECT

ADDRESSES = "inference_address=http://127.0.0.1:1111\nmanagement_address=http://127.0.0.1:2222\n"
HOLDS_THE_LOCK = """
import sys
from pathlib import Path
from adapter.versions.running_server import RunningServer

with RunningServer(Path(sys.argv[1])).locked("deploy tiny-2.0.mar"):
    print("locked", flush=True)
    sys.stdin.read()
"""
HOLDS_IT_IN_SILENCE = """
import fcntl, sys
with open(sys.argv[1]) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has the lock until it is killed."""
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        yield holder
        holder.kill()


@pytest.fixture
def server(tmp_path: Path) -> RunningServer:
    (tmp_path / "key_file.json").write_text("{}")
    (tmp_path / "config.properties").write_text(ADDRESSES)
    return RunningServer(tmp_path)


def test_a_server_that_answers_runs_also_where_its_key_file_is_lost(server: RunningServer) -> None:
    directory = server.files.run_directory
    (directory / "key_file.json").unlink()
    with socket.socket(socket.AF_UNIX) as gateway:
        gateway.bind(str(control_socket(directory)))
        gateway.listen()
        RunningServer(directory)


@pytest.mark.parametrize("missing", ["key_file.json", "config.properties"])
def test_where_no_server_runs_it_says_how_to_start_one(server: RunningServer, missing: str) -> None:
    directory = server.files.run_directory
    (directory / missing).unlink()
    with pytest.raises(ServerNotRunning, match=f"No server runs in {directory}: torchbridge serve starts one"):
        RunningServer(directory)


def test_it_is_found_by_what_it_was_started_with(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.settings.torchserve_url == "http://127.0.0.1:1111"
    assert server.settings.management_url == "http://127.0.0.1:2222"
    assert server.settings.key_file == tmp_path / "key_file.json"
    monkeypatch.chdir(tmp_path.parent)
    assert RunningServer(Path(tmp_path.name)).files == server.files == ServerFiles(tmp_path)


def test_a_server_without_a_record_is_still_starting(server: RunningServer) -> None:
    with pytest.raises(ServerNotRunning, match="is still starting: try again"):
        _ = server.state
    server.save(ServerState(is_changed=True))
    assert server.state == ServerState(is_changed=True)


def test_a_log_is_read_from_now_on(server: RunningServer) -> None:
    line = "2026-11-22T13:47:34,840 [WARN ] W-9000-tiny_2.0-stderr - torchbridge: cannot load the model: {}\n"
    server.worker_log.parent.mkdir()
    server.worker_log.write_text(line.format("before"))
    log = server.log_of("tiny", "2.0")
    log.read()
    assert log.failure(600) is None
    with server.worker_log.open("a") as file:
        file.write(line.format("after"))
    log.read()
    assert log.failure(600) == "The worker cannot load the model: after"


def test_who_holds_the_lock_is_named_to_who_comes(server: RunningServer) -> None:
    with (
        server.locked("rollback"),
        pytest.raises(
            ServerBusy, match=rf"changing this server: rollback \(process {os.getpid()}, since \d\d:\d\d:\d\d UTC\)\.$"
        ),
        RunningServer(server.files.run_directory).locked("scale 1.0"),
    ):
        pytest.fail("both have it")


def test_the_lock_ends_with_the_block_and_the_next_name_replaces_the_one_before(server: RunningServer) -> None:
    with pytest.raises(KeyError), server.locked("a name that is longer than the next"):
        raise KeyError
    with (
        server.locked("scale"),
        pytest.raises(ServerBusy, match=r": scale \(process \d+, since [^)]+\)\.$"),
        server.locked(""),
    ):
        pytest.fail("both have it")


def test_the_lock_ends_with_a_process_that_is_killed(server: RunningServer) -> None:
    with (
        holding(HOLDS_THE_LOCK, server.files.run_directory) as holder,
        pytest.raises(ServerBusy, match=rf"deploy tiny-2\.0\.mar \(process {holder.pid}, since"),
        server.locked("rollback"),
    ):
        pytest.fail("both have it")
    assert holder.returncode == -signal.SIGKILL
    with server.locked("rollback"):
        pass


@pytest.mark.parametrize("is_killed", [False, True], ids=["ended", "killed"])
def test_who_held_the_lock_before_is_not_named_for_who_holds_it_now(server: RunningServer, *, is_killed: bool) -> None:
    lock = server.files.lock
    if is_killed:
        with holding(HOLDS_THE_LOCK, server.files.run_directory):
            pass
        assert "deploy" in lock.read_text()
    else:
        with server.locked("rollback"):  # by this process, which lives on
            pass
    with holding(HOLDS_IT_IN_SILENCE, lock), pytest.raises(ServerBusy) as refused, server.locked("scale"):
        pytest.fail("both have it")

    assert str(refused.value) == f"Another process holds {lock}, and does not say who it is."


def test_a_run_directory_that_others_may_write_is_not_spoken_to(server: RunningServer) -> None:
    server.files.run_directory.chmod(0o777)
    with pytest.raises(NotPrivate, match="Other users may write"):
        RunningServer(server.files.run_directory)


def test_a_server_that_is_still_starting_is_none_yet(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    with directory.lock(), pytest.raises(ServerNotRunning, match="is still starting"):
        RunningServer(tmp_path)
