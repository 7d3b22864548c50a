"""What a gateway says of an answer that nobody waits for is heard by the model's workers, once, and stops nobody."""

import multiprocessing
import os
from pathlib import Path

import pytest

from adapter.stop_pipe import StopPipe, write_stop


@pytest.fixture
def pipe(tmp_path: Path) -> StopPipe:
    pipe = StopPipe(tmp_path, "tiny")
    yield pipe
    pipe.close()


def test_a_worker_hears_each_stop_once(pipe: StopPipe, tmp_path: Path) -> None:
    write_stop(tmp_path, "tiny", "first")
    write_stop(tmp_path, "tiny", "second")

    assert pipe.take() == ["first", "second"]
    assert pipe.take() == []


def test_a_worker_of_another_model_hears_nothing(pipe: StopPipe, tmp_path: Path) -> None:
    write_stop(tmp_path, "large", "first")

    assert pipe.take() == []


def test_a_worker_that_nobody_has_told_anything_does_not_wait(pipe: StopPipe, tmp_path: Path) -> None:
    writer = os.open(next((tmp_path / "tiny").iterdir()), os.O_WRONLY)

    assert pipe.take() == []
    os.close(writer)


def test_a_worker_that_has_long_not_listened_keeps_nobody_waiting(pipe: StopPipe, tmp_path: Path) -> None:
    for number in range(10_000):
        write_stop(tmp_path, "tiny", f"{number:036}")

    heard = pipe.take()
    assert heard == [f"{number:036}" for number in range(len(heard))]
    assert 1_000 < len(heard) < 10_000


def test_an_id_that_is_too_long_to_be_one_is_not_written(pipe: StopPipe, tmp_path: Path) -> None:
    write_stop(tmp_path, "tiny", "a" * 512)

    assert pipe.take() == []


def test_a_stop_for_a_worker_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    StopPipe(tmp_path, "tiny").close()
    write_stop(tmp_path, "tiny", "first")


def test_a_new_worker_removes_the_pipes_of_the_dead_and_of_nobody_else(pipe: StopPipe, tmp_path: Path) -> None:
    dead = multiprocessing.get_context("fork").Process(target=StopPipe, args=(tmp_path, "tiny"))
    dead.start()
    dead.join()
    assert len(list((tmp_path / "tiny").iterdir())) == 2

    living = multiprocessing.get_context("fork").Process(target=_listen_for_one, args=(tmp_path,))
    living.start()
    living.join()
    write_stop(tmp_path, "tiny", "first")

    assert living.exitcode == 0
    assert pipe.take() == ["first"]


def _listen_for_one(directory: Path) -> None:
    StopPipe(directory, "tiny")
    assert len(list((directory / "tiny").iterdir())) == 2  # its own, and the one whose reader lives
