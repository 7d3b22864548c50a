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

PATIENCE = 360.0  # TorchServe's five minutes, and one more


class Watched:
    """A revival over `server`, and what it reports."""

    def __init__(self, server: FakeServer, clock: Clock) -> None:
        self.server, self.clock, self.reports = server, clock, Lines()
        self.num_ends = 0
        self._revival = WorkerRevival(self.reports, self._end_torchserve)

    def _end_torchserve(self) -> None:
        self.num_ends += 1

    def look_after(self, seconds: float) -> list[tuple[object, ...]]:
        """The changes that this look has made."""
        self.clock.sleep(seconds)
        self.server.management.changes.clear()
        self._revival.look(self.server)
        return list(self.server.management.changes)


@pytest.fixture
def watched(server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(worker_revival, "time", clock)
    server.serve("1.0", "2.0")
    for archive in server.files.store.glob("*.mar"):
        with ZipFile(archive) as opened:
            opened.extractall(unpacked(server, archive))
    return Watched(server, clock)


def unpacked(server: FakeServer, archive: Path) -> Path:
    """Where TorchServe has unpacked it."""
    return server.files.unpacked / "models" / archive.stem


def lose_worker(server: FakeServer, version: str = "2.0") -> None:
    server.management.models["tiny"][version] = [False]


def test_a_worker_is_started_when_torchserve_tries_no_more(watched: Watched) -> None:
    lose_worker(watched.server)
    assert watched.look_after(0) == []
    assert watched.look_after(PATIENCE - 1) == []
    assert watched.look_after(1) == [("scale", "tiny", "2.0", 0), ("scale", "tiny", "2.0", 1)]
    assert watched.reports == ["TorchServe has given up the worker of tiny 2.0: starting another one"]


@pytest.mark.parametrize("lost", ["", "model/config.json"])
def test_one_of_which_what_was_unpacked_is_lost_has_it_unpacked_again(watched: Watched, lost: str) -> None:
    directory = unpacked(watched.server, watched.server.store.path("tiny-2.0.mar"))
    if lost:
        (directory / lost).unlink()
    else:
        shutil.rmtree(directory)
    lose_worker(watched.server)
    watched.look_after(0)
    assert watched.look_after(PATIENCE) == []
    assert watched.num_ends == 1
    assert watched.reports == ["what TorchServe has unpacked of tiny 2.0 is lost: it has to unpack it again"]


def test_one_that_is_lost_once_more_gets_the_same_patience(watched: Watched) -> None:
    lose_worker(watched.server)
    watched.look_after(0)
    assert watched.look_after(PATIENCE)
    lose_worker(watched.server)
    assert watched.look_after(1) == []
    assert watched.look_after(PATIENCE - 1) == []
    assert watched.look_after(1)


def test_a_worker_that_was_ready_in_between_counts_anew(watched: Watched) -> None:
    lose_worker(watched.server)
    watched.look_after(0)
    watched.server.management.models["tiny"]["2.0"] = [True]
    watched.look_after(PATIENCE)
    lose_worker(watched.server)
    assert watched.look_after(1) == []


@contextmanager
def worker_process(number: int = 9000) -> Iterator[int]:
    command = [sys.executable, "-c", "input()", "--sock-name", f"/tmp/.ts.sock.{number}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def loading(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the process that TorchServe names for its workers."""
    lose_worker(watched.server)
    describe = watched.server.management.describe

    def in_process(pid: int) -> None:
        def with_process(name: str) -> list[ModelDescription]:
            described = [
                (each, [worker.model_copy(update={"pid": pid}) for worker in each.workers]) for each in describe(name)
            ]
            return [each.model_copy(update={"workers": tuple(workers)}) for each, workers in described]

        monkeypatch.setattr(watched.server.management, "describe", with_process)

    return in_process


def test_a_worker_that_is_still_loading_is_left_alone(watched: Watched, loading: Callable[[int], None]) -> None:
    watched.look_after(0)
    with worker_process() as pid:
        loading(pid)
        assert watched.look_after(PATIENCE) == []
    assert watched.look_after(0) != []


def test_a_process_of_another_worker_is_none_of_this_one(watched: Watched, loading: Callable[[int], None]) -> None:
    watched.look_after(0)
    with worker_process(9001) as pid:
        loading(pid)
        assert watched.look_after(PATIENCE) != []


def test_a_version_without_workers_by_the_record_is_left_alone(watched: Watched) -> None:
    lose_worker(watched.server, "1.0")
    state = watched.server.state
    state.models["tiny"].versions["1.0"] = state.models["tiny"].versions["1.0"].model_copy(update={"workers": 0})
    watched.server.save(state)
    watched.look_after(0)
    assert watched.look_after(PATIENCE) == []


def test_nothing_is_started_while_a_command_changes_the_server(watched: Watched) -> None:
    lose_worker(watched.server)
    watched.look_after(0)
    with watched.server.locked("retire 2.0"), pytest.raises(ServerBusy, match=r"retire 2\.0"):
        watched.look_after(PATIENCE)
    assert watched.server.management.changes == []
    assert watched.look_after(0) != []
