"""Who compiles and when, and which steps are taken."""

import os
import threading
from pathlib import Path

import pytest

from handlers.slot_cache import UnsupportedModelError
from tests.handlers.background_compilation.compiling_worker import COMPILED, COMPILING, NOT_COMPILED, STEPS, Worker
from tests.waiting import PATIENCE, wait_until


def test_steps_that_are_not_there_are_made_and_taken() -> None:
    worker = Worker().run()

    assert worker.said == [(COMPILING, None), (COMPILED, None)]
    assert worker.taken == [STEPS]


def test_steps_that_are_there_by_now_are_taken_without_a_build() -> None:
    Worker().run()
    worker = Worker().run()

    assert (worker.states, worker.taken, worker.builds) == ([COMPILED], [STEPS], [])


@pytest.mark.parametrize("digest", ["d1", "d2"], ids=["of the same steps", "of others"])
def test_one_build_at_a_time_and_each_takes_its_own(digest: str, compiled_steps: Path) -> None:
    first, second = Worker(), Worker(digest=digest)
    threads = [threading.Thread(target=worker.run) for worker in (first, second)]
    builds_beside: list[int] = []

    def start_the_other() -> None:
        threads[1].start()
        wait_until(lambda: somebody_waits_for(compiled_steps / ".background" / "lock"))
        builds_beside.append(len(second.builds))

    first.during_build = start_the_other
    threads[0].start()
    threads[0].join(PATIENCE)
    threads[1].join(PATIENCE)

    assert builds_beside == [0]
    assert (len(first.builds), len(second.builds)) == (1, 0 if digest == "d1" else 1)
    assert first.taken == second.taken == [STEPS]
    assert second.states[-1] == COMPILED


def somebody_waits_for(lock: Path) -> bool:
    """As the kernel says it, with "->" before each who waits."""
    inode = f":{lock.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_steps_that_are_there_but_cannot_be_loaded_are_made_anew(compiled_steps: Path) -> None:
    (compiled_steps / "d1").mkdir(parents=True)
    (compiled_steps / "d1" / "one_row.so").touch()
    worker = Worker()
    worker.is_broken = True

    assert worker.run().states == [COMPILING, COMPILED]
    assert list((compiled_steps / "d1").iterdir()) == []


def test_steps_are_used_last_when_they_are_taken(compiled_steps: Path) -> None:
    (compiled_steps / "d1").mkdir(parents=True)
    os.utime(compiled_steps / "d1", (1, 1))

    Worker().run()

    assert (compiled_steps / "d1").stat().st_mtime > 1


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (UnsupportedModelError("its logits differ"), "its logits differ"),
        (MemoryError("no more"), "MemoryError('no more')"),
    ],
)
def test_steps_that_the_worker_refuses_are_left_out(refusal: Exception, reason: str) -> None:
    assert Worker(refusal=refusal).run().said == [(COMPILING, None), (NOT_COMPILED, reason)]


def test_steps_that_cannot_be_loaded_are_left_out() -> None:
    assert Worker(steps=None).run().said[-1] == (NOT_COMPILED, "they cannot be loaded: the worker's log says why")


def test_a_directory_that_cannot_be_had_is_no_failure_of_the_worker(compiled_steps: Path) -> None:
    compiled_steps.touch()  # a file

    [(state, _)] = Worker().run().said

    assert state == NOT_COMPILED
