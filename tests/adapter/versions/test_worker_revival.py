"""Workers that TorchServe starts no more are started by the server; all others are left alone."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from adapter.torchserve.management_client import ModelDescription
from adapter.versions import worker_revival
from adapter.versions.errors import ServerBusy
from adapter.versions.worker_revival import WorkerRevival
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines
from tests.adapter.versions.looks import Looks

PATIENCE = 360.0  # TorchServe's five minutes, and one more


@pytest.fixture
def ends() -> list[None]:
    """Of TorchServe, which is started again then."""
    return []


@pytest.fixture
def looks(server: FakeServer, clock: Clock, lines: Lines, ends: list[None], monkeypatch: pytest.MonkeyPatch) -> Looks:
    monkeypatch.setattr(worker_revival, "time", clock)
    server.serve("1.0", "2.0")
    for archive in server.files.store.glob("*.mar"):
        with ZipFile(archive) as opened:
            opened.extractall(unpacked(server, archive))
    return Looks(server, clock, WorkerRevival(lines, lambda: ends.append(None)), lines)


def unpacked(server: FakeServer, archive: Path) -> Path:
    """Where TorchServe has unpacked it."""
    return server.files.unpacked / "models" / archive.stem


def lose_worker(server: FakeServer, version: str = "2.0") -> None:
    server.management.models["tiny"][version] = [False]


def test_a_worker_is_started_when_torchserve_tries_no_more(looks: Looks) -> None:
    lose_worker(looks.server)
    assert looks.after(0) == []
    assert looks.after(PATIENCE - 1) == []
    assert looks.after(1) == [("scale", "tiny", "2.0", 0), ("scale", "tiny", "2.0", 1)]
    assert looks.reports == ["TorchServe has given up the worker of tiny 2.0: starting another one"]


def test_it_is_started_also_where_torchserve_stumbles_over_the_end_of_the_last_one(looks: Looks) -> None:
    looks.server.management.stumbles = True
    lose_worker(looks.server)
    looks.after(0)
    assert looks.after(PATIENCE) == [("scale", "tiny", "2.0", 0), ("scale", "tiny", "2.0", 1)]


@pytest.mark.parametrize("lost", ["", "model/config.json"])
def test_one_of_which_what_was_unpacked_is_lost_has_it_unpacked_again(
    looks: Looks, ends: list[None], lost: str
) -> None:
    directory = unpacked(looks.server, looks.server.store.path("tiny-2.0.mar"))
    if lost:
        (directory / lost).unlink()
    else:
        shutil.rmtree(directory)
    lose_worker(looks.server)
    looks.after(0)
    assert looks.after(PATIENCE) == []
    assert ends == [None]
    assert looks.reports == ["what TorchServe has unpacked of tiny 2.0 is lost: it has to unpack it again"]


def test_one_that_is_lost_once_more_gets_the_same_patience(looks: Looks) -> None:
    lose_worker(looks.server)
    looks.after(0)
    assert looks.after(PATIENCE)
    lose_worker(looks.server)
    assert looks.after(1) == []
    assert looks.after(PATIENCE - 1) == []
    assert looks.after(1)


def test_a_worker_that_was_ready_in_between_counts_anew(looks: Looks) -> None:
    lose_worker(looks.server)
    looks.after(0)
    looks.server.management.models["tiny"]["2.0"] = [True]
    looks.after(PATIENCE)
    lose_worker(looks.server)
    assert looks.after(1) == []


@contextmanager
def worker_process(number: int = 9000) -> Iterator[int]:
    command = [sys.executable, "-c", "input()", "--sock-name", f"/tmp/.ts.sock.{number}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def loading(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the process that TorchServe names for its workers."""
    lose_worker(looks.server)
    describe = looks.server.management.describe

    def in_process(pid: int) -> None:
        def with_process(name: str) -> list[ModelDescription]:
            described = [
                (each, [worker.model_copy(update={"pid": pid}) for worker in each.workers]) for each in describe(name)
            ]
            return [each.model_copy(update={"workers": tuple(workers)}) for each, workers in described]

        monkeypatch.setattr(looks.server.management, "describe", with_process)

    return in_process


def test_a_worker_that_is_still_loading_is_left_alone(looks: Looks, loading: Callable[[int], None]) -> None:
    looks.after(0)
    with worker_process() as pid:
        loading(pid)
        assert looks.after(PATIENCE) == []
    assert looks.after(0) != []


def test_a_process_of_another_worker_is_none_of_this_one(looks: Looks, loading: Callable[[int], None]) -> None:
    looks.after(0)
    with worker_process(9001) as pid:
        loading(pid)
        assert looks.after(PATIENCE) != []


def test_a_version_without_workers_by_the_record_is_left_alone(looks: Looks) -> None:
    lose_worker(looks.server, "1.0")
    state = looks.server.state
    state.models["tiny"].versions["1.0"] = state.models["tiny"].versions["1.0"].model_copy(update={"workers": 0})
    looks.server.save(state)
    looks.after(0)
    assert looks.after(PATIENCE) == []


def test_nothing_is_started_while_a_command_changes_the_server(looks: Looks) -> None:
    lose_worker(looks.server)
    looks.after(0)
    with looks.server.locked("retire 2.0"), pytest.raises(ServerBusy, match=r"retire 2\.0"):
        looks.after(PATIENCE)
    assert looks.server.management.changes == []
    assert looks.after(0) != []
