"""What lies in a server's run directory, who may hold it, and what TorchServe is told of it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.torchserve.properties import read_properties
from adapter.torchserve.run_directory import RunDirectory, RunDirectoryError
from adapter.torchserve.server_process import CONFIG_FILE, StartFailed, TorchServeProcess


def test_the_directory_stays_held_while_torchserve_is_started_again(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with TorchServeProcess([], directory.path) as torchserve:
        torchserve.hold()
        torchserve.stop()
        with pytest.raises(RunDirectoryError, match="Another TorchServe"), directory.lock():
            pass
    with directory.lock():
        pass


def test_a_directory_too_deep_for_a_socket_is_one_clear_error(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    with pytest.raises(StartFailed, match="too long a path"):
        TorchServeProcess([], deep).start()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RunDirectory]:
    directory = RunDirectory(tmp_path)
    with directory.lock():
        yield directory


def test_overrides_come_last_where_java_lets_them_win(directory: RunDirectory) -> None:
    directory.prepare(CONFIG_FILE, {"token_expiration_min": "0.05"})

    assert directory.config.read_text().endswith("\ntoken_expiration_min=0.05\n")
    assert read_properties(directory.config)["token_expiration_min"] == "0.05"


def test_overrides_are_lines_of_their_own_whatever_the_last_line_is(directory: RunDirectory, tmp_path: Path) -> None:
    config = tmp_path / "ours"
    config.write_text("number_of_gpu=0\\")
    directory.prepare(config, {"token_expiration_min": "5"})

    assert read_properties(directory.config) == {"number_of_gpu": "0", "token_expiration_min": "5"}


def test_what_an_earlier_run_left_is_removed(directory: RunDirectory) -> None:
    directory.key_file.write_text("{}")
    directory.prepare(CONFIG_FILE, {})
    (directory.logs / "old.log").write_text("")
    directory.prepare(CONFIG_FILE, {})

    assert not directory.key_file.exists()
    assert list(directory.logs.iterdir()) == []


def test_what_it_holds_is_its_users_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    before = os.umask(0)
    try:
        with directory.lock():
            directory.prepare(CONFIG_FILE, {})
            directory.open_output().close()
    finally:
        os.umask(before)

    assert directory.output.exists()
    assert [path for path in (directory.path, *directory.path.rglob("*")) if path.stat().st_mode & 0o077] == []


def test_a_directory_that_others_may_write_is_one_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StartFailed, match="Other users may write"):
        TorchServeProcess([], tmp_path).start()


def test_a_directory_is_held_by_one(directory: RunDirectory) -> None:
    with pytest.raises(RunDirectoryError, match="Another TorchServe"), RunDirectory(directory.path).lock():
        pass


def test_what_would_change_torchserve_or_its_worker_is_not_passed_on(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TS_CONFIG_FILE", "PYTHONPATH", "LOG_LOCATION", "TEMP", "JAVA_HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    environment = directory.environment()

    assert [name for name, value in environment.items() if value == "/elsewhere"] == []
    assert Path(environment["JAVA_HOME"], "bin", "java").is_file()
    assert environment["PATH"].split(os.pathsep)[0] == f"{environment['JAVA_HOME']}/bin"


@pytest.mark.parametrize("compiles", [True, False])
def test_workers_are_told_whether_to_compile_whatever_the_shell_says(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch, *, compiles: bool
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_COMPILE", "maybe")
    environment = directory.environment(compiles=compiles)

    assert environment["TORCHBRIDGE_COMPILE"] == ("true" if compiles else "false")
    assert environment["TORCHBRIDGE_COMPILATIONS"] == str(directory.path / "compilations")


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1", None])
def test_java_can_name_files_in_whatever_language_the_shell_speaks(
    locale: str | None, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    if locale:
        monkeypatch.setenv("LC_ALL", locale)

    java = subprocess.run(
        ["java", "-XshowSettings:properties", "-version"],
        env=directory.environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert "sun.jnu.encoding = UTF-8" in java.stderr
