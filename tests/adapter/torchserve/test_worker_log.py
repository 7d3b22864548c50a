"""What the worker's log tells while TorchServe itself says nothing. The lines are recorded from 0.12.0."""

from pathlib import Path

import pytest

from adapter.torchserve.worker_log import WorkerLog

START = "2026-11-22T13:47:34,775 [INFO ] W-9000-bad_1.0-stdout - Torch worker started.\n"
FIRST_ERROR = (
    "2026-11-22T13:47:34,824 [INFO ] W-9000-bad_1.0-stdout - ModuleNotFoundError: No module named 'not_there'\n"
)
SECOND_ERROR = (
    "2026-11-22T13:47:34,840 [INFO ] W-9000-bad_1.0-stdout - ModuleNotFoundError: "
    "No module named 'ts.torch_handler.tiny_handler'\n"
)
DEATH = (
    "2026-11-22T13:47:34,840 [INFO ] W-9000-bad_1.0-stdout - Stopped Scanner - W-9000-bad_1.0-stdout\n"
    "2026-11-22T13:47:34,965 [INFO ] W-9000-bad_1.0-stderr - Stopped Scanner - W-9000-bad_1.0-stderr\n"
)
REFUSAL = (
    "2026-11-22T13:47:34,840 [WARN ] W-9000-bad_1.0-stderr - torchbridge: cannot load the model: "
    "its context is too short\n"
)


@pytest.fixture
def log(tmp_path: Path) -> WorkerLog:
    return WorkerLog(tmp_path / "model_log.log")


def test_there_may_be_no_log_yet(log: WorkerLog) -> None:
    log.read()

    assert (log.deaths, log.error, log.refusal) == (0, None, None)


def test_counts_each_death_once_and_keeps_the_first_error_of_the_last_life(log: WorkerLog) -> None:
    log.path.write_text(START + "ValueError: of the first life\n" + DEATH)
    log.read()
    log.path.write_text(log.path.read_text() + START + FIRST_ERROR + SECOND_ERROR + DEATH)
    log.read()
    log.read()

    assert log.deaths == 2
    assert log.error == "ModuleNotFoundError: No module named 'not_there'"


def test_hears_the_handlers_own_reason(log: WorkerLog) -> None:
    log.path.write_text(START + REFUSAL)
    log.read()

    assert log.refusal == "its context is too short"


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(log: WorkerLog) -> None:
    log.path.write_text(REFUSAL[:-10])
    log.read()
    assert log.refusal is None

    log.path.write_text(REFUSAL)
    log.read()
    assert log.refusal == "its context is too short"


@pytest.mark.parametrize("line", ["no error here\n", "0 errors, 3 Exceptions handled\n"])
def test_a_line_that_merely_mentions_errors_is_no_reason(log: WorkerLog, line: str) -> None:
    log.path.write_text(START.replace("Torch worker started.\n", line))
    log.read()

    assert log.error is None
