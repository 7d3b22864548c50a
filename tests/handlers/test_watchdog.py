"""The end of a worker that cannot go on."""

import subprocess
import sys

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


@pytest.mark.parametrize(("limit", "is_ended"), [(-1.0, True), (3_600.0, False)])
def test_work_that_takes_longer_than_it_may_ends_the_worker(limit: float, is_ended: bool) -> None:
    ended = EndedWorker()
    watchdog = Watchdog("the work", limit, ended)
    with watchdog.watching():
        watchdog.check()

    assert ended.reasons == [f"the work has not ended in {limit:g} seconds"] * is_ended


def test_no_work_ends_no_worker() -> None:
    ended = EndedWorker()
    watchdog = Watchdog("the work", -1.0, ended)
    watchdog.check()
    with pytest.raises(ZeroDivisionError), watchdog.watching():
        _ = 1 / 0
    watchdog.check()

    assert ended.reasons == []
