"""What the worker's log tells while TorchServe itself says nothing. The lines are recorded from 0.12.0."""

from pathlib import Path

import pytest

from adapter.torchserve.oom_kills import OomKills
from adapter.torchserve.worker_log import WorkerLog
from tests.recorded_answer import FIXTURES

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
    return WorkerLog(tmp_path / "model_log.log", "bad", "1.0")


def test_there_may_be_no_log_yet(log: WorkerLog) -> None:
    log.read()

    assert (log.deaths, log.error, log.refusal) == (0, None, None)


def test_counts_each_death_once_and_keeps_the_first_error_of_the_last_life(log: WorkerLog) -> None:
    log.path.write_text(START + FIRST_ERROR.replace("not_there", "of_the_first_life") + DEATH)
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


# Of one version's workers


def of(version: str, *lines: str, model: str = "tiny") -> str:
    """The lines as that version's worker says them."""
    return "".join(lines).replace("bad_1.0", f"{model}_{version}")


@pytest.fixture
def version_log(log: WorkerLog) -> WorkerLog:
    """From now on, of tiny 2.0, of which something was said before."""
    log.path.write_text(of("2.0", START, REFUSAL, DEATH, DEATH))
    return WorkerLog(log.path, "tiny", "2.0")


def failure_of(log: WorkerLog) -> str | None:
    return log.failure(startup_timeout=600)


def append(log: WorkerLog, text: str) -> None:
    with log.path.open("a") as file:
        file.write(text)
    log.read()


def test_what_was_said_before_does_not_count(version_log: WorkerLog) -> None:
    version_log.read()
    assert (version_log.deaths, version_log.error, version_log.refusal) == (0, None, None)
    append(version_log, of("2.0", REFUSAL))
    assert failure_of(version_log) == "The worker cannot load the model: its context is too short"


@pytest.mark.parametrize(
    ("model", "version"),
    [("tiny", "1.0"), ("tiny", "12.0"), ("tiny", "2.0.1"), ("tiny", "2x0"), ("other", "2.0"), ("a-tiny", "2.0")],
)
def test_what_the_workers_of_others_say_does_not_count(version_log: WorkerLog, model: str, version: str) -> None:
    append(version_log, of(version, START, FIRST_ERROR, REFUSAL, DEATH, DEATH, model=model))
    assert (version_log.deaths, version_log.error, version_log.refusal) == (0, None, None)


def test_a_line_of_nobody_does_not_count(version_log: WorkerLog) -> None:
    append(version_log, "ValueError: of whom?\n" + of("2.0", DEATH))
    assert (version_log.deaths, version_log.error) == (1, None)


def test_a_second_death_is_a_failure_with_its_reason(version_log: WorkerLog) -> None:
    append(version_log, of("2.0", START, FIRST_ERROR, SECOND_ERROR, DEATH))
    assert failure_of(version_log) is None
    append(version_log, of("2.0", START, FIRST_ERROR, SECOND_ERROR, DEATH))
    assert failure_of(version_log) == (
        "The worker dies while it loads the model: ModuleNotFoundError: No module named 'not_there'. "
        f"See {version_log.path}."
    )


def test_deaths_without_a_word_are_a_failure_too_and_memory_is_not_blamed(version_log: WorkerLog) -> None:
    append(version_log, of("2.0", *[START, DEATH] * 5))
    assert failure_of(version_log) is None
    append(version_log, of("2.0", START, DEATH))
    failure = failure_of(version_log)
    assert failure is not None
    assert "ends without a word, by a signal such as SIGKILL or by an exit of its own, and no counter" in failure


def test_the_reason_is_known_where_torchserve_lost_the_last_words_of_one_life(version_log: WorkerLog) -> None:
    append(version_log, of("2.0", START, FIRST_ERROR, DEATH, START, DEATH))
    assert "not_there" in (failure_of(version_log) or "")


def test_a_log_that_begins_later_is_read_from_its_begin(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "model_log.log", "tiny", "2.0")
    log.read()
    append(log, of("2.0", REFUSAL))
    assert log.refusal == "its context is too short"


# Why a worker ended: as TorchServe 0.12.0 with our log4j2.xml wrote it of a model `tiny` that does nothing else.


def recorded(ending: str, tmp_path: Path, oom_kills: OomKills | None = None) -> WorkerLog:
    log = WorkerLog(tmp_path / "model_log.log", "tiny", "1.0", oom_kills)
    log.path.write_bytes((FIXTURES / "worker_log" / f"{ending}.log").read_bytes())
    log.read()
    return log


def test_a_worker_that_torchserve_ended_for_its_slowness_is_told_of_its_limit(tmp_path: Path) -> None:
    failure = recorded("startup_timeout", tmp_path).failure(startup_timeout=1)
    assert failure == (
        "The worker dies while it loads the model: it did not load within 1 s: startupTimeout in the archive's "
        f"model-config.yaml. See {tmp_path / 'model_log.log'}."
    )


def test_what_a_slow_worker_said_before_is_not_the_reason(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "model_log.log", "tiny", "1.0")
    lines = (FIXTURES / "worker_log" / "startup_timeout.log").read_text().splitlines(keepends=True)
    for line in lines:
        append(log, line)
        if line.endswith("Torch worker started.\n"):
            append(log, of("1.0", FIRST_ERROR))
    assert "startupTimeout" in (log.reason(startup_timeout=1) or "")


def test_a_later_life_that_ends_otherwise_is_told_of_that(tmp_path: Path) -> None:
    log = recorded("startup_timeout", tmp_path)
    append(log, of("1.0", START, FIRST_ERROR, DEATH))
    assert "not_there" in (log.reason(startup_timeout=1) or "")


def test_the_limit_that_torchserve_itself_sets_for_a_start_is_named(version_log: WorkerLog) -> None:
    # WorkerLifeCycle.java, startWorkerPython
    said = "2026-11-28T17:52:05,326 [ERROR] W-9000-bad_1.0 - Backend worker error: Backend worker startup time out.\n"
    append(version_log, of("2.0", *[said, DEATH] * 2))
    assert "did not start within two minutes" in (failure_of(version_log) or "")


def test_a_worker_that_crashed_is_told_of_its_signal(tmp_path: Path) -> None:
    log = recorded("segmentation_fault", tmp_path)
    assert "Fatal Python error: Segmentation fault" in (log.failure(startup_timeout=600) or "")


def test_memory_is_named_where_a_counter_of_the_kernels_has_risen(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "proc/vmstat").write_text("oom_kill 3\n")
    oom_kills = OomKills(root)
    (root / "proc/vmstat").write_text("oom_kill 4\n")
    failure = recorded("killed", tmp_path, oom_kills).failure(startup_timeout=600)
    assert f"the kernel has killed a process of this machine for want of memory (oom_kill in {root}" in (failure or "")


def test_a_death_is_no_reason_to_speak_of_memory_before_it_has_happened(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path / "model_log.log", "tiny", "1.0")
    append(log, of("1.0", START, FIRST_ERROR))
    assert log.reason(startup_timeout=600) is None
