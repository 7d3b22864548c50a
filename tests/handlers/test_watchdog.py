"""The end of a worker that cannot go on."""

import select
import subprocess
import sys
from types import SimpleNamespace

import pytest

from handlers.watchdog import Watchdog
from tests.handlers.ended_worker import EndedWorker

PROGRAM = """
import threading
from handlers.watchdog import end_worker

def fail():
    try:
        raise RuntimeError("the device is gone")
    except RuntimeError as error:
        end_worker("the engine cannot go on", error)

threading.Thread(target=fail).start()
threading.Event().wait()
"""


def test_the_whole_process_ends_from_any_thread_and_says_why() -> None:
    worker = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert worker.returncode == 1
    assert "the worker ends, for TorchServe to start another: the engine cannot go on" in worker.stderr
    assert "RuntimeError: the device is gone" in worker.stderr
    assert worker.stderr.count("most recent call first") == 2  # the stacks of both threads


def test_it_does_not_end_before_why_is_read() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        select.select([worker.stderr], [], [])
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.5)
        worker.communicate()

    assert worker.returncode == 1


@pytest.mark.parametrize(("limit", "is_ended"), [(-1.0, True), (3_600.0, False)])
def test_work_that_takes_longer_than_it_may_ends_the_worker(limit: float, is_ended: bool) -> None:
    ended = EndedWorker()
    watchdog = Watchdog("the work", limit, ended)
    with watchdog.watching():
        watchdog.check()

    assert ended.reasons == [f"the work has not ended in {limit:g} seconds"] * is_ended


def test_time_in_which_the_process_stood_still_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("handlers.watchdog.time", SimpleNamespace(monotonic=lambda: now[0]))
    ended = EndedWorker()
    watchdog = Watchdog("the work", 5.0, ended)

    def check_after(seconds: float) -> None:
        now[0] += seconds
        watchdog.check()

    with watchdog.watching():
        check_after(0.1)
        check_after(3_600.0)
        assert ended.reasons == []
        for _ in range(5):
            check_after(0.9)
    assert ended.reasons == ["the work has not ended in 5 seconds"]


def test_every_piece_of_work_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("handlers.watchdog.time", SimpleNamespace(monotonic=lambda: now[0]))
    ended = EndedWorker()
    watchdog = Watchdog("the work", 5.0, ended)
    for _ in range(20):
        with watchdog.watching():
            now[0] += 0.9
            watchdog.check()
    assert ended.reasons == []


def test_no_work_ends_no_worker() -> None:
    ended = EndedWorker()
    watchdog = Watchdog("the work", -1.0, ended)
    watchdog.check()
    with pytest.raises(ZeroDivisionError), watchdog.watching():
        _ = 1 / 0
    watchdog.check()

    assert ended.reasons == []
