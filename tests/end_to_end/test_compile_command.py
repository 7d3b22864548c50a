"""`torchbridge compile` as a user runs it: what it leaves is what a worker answers with."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, PROJECT, build_archive
from adapter.archives.archive_reader import read_probes
from adapter.archives.model_check import check_model
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from adapter.probes import Probe
from adapter.torchserve.archive_probe import probe_archive, served_alone
from tests.processes import processes_of

pytestmark = [
    pytest.mark.torchserve,
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
]

TINY = PROJECT / "models" / "tiny"


@pytest.fixture
def compiled_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path / "steps"
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(directory))
    yield directory
    assert processes_of(tmp_path) == []


@pytest.fixture
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


def run_compile(archive: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("torchbridge")), "compile", str(archive)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_worker_answers_with_what_was_compiled_as_the_model_was_recorded_to(
    tmp_path: Path, compiled_steps: Path, temporary_files: Path
) -> None:
    archive = build_archive(TINY, "tiny", "1.0", tmp_path, check=check_model)
    first = run_compile(archive)
    assert (first.returncode, first.stderr) == (0, "")
    [directory] = compiled_steps.iterdir()
    assert list(temporary_files.iterdir()) == []  # the compiler's, some 300 MB
    assert first.stdout == f"{directory}\n"
    libraries = {path.name: path.stat().st_ino for path in directory.iterdir()}
    assert libraries.keys() == {"one_row.so", "more_rows.so"}

    of_same_shape = build_archive(TINY, "another", "2.0", tmp_path)
    assert run_compile(of_same_shape).stdout == first.stdout
    assert {path.name: path.stat().st_ino for path in directory.iterdir()} == libraries

    probes = read_probes(archive)
    assert probes
    answered: list[Probe] = []
    with served_alone(archive, lambda _: None) as process:
        asyncio.run(probe_archive(archive, process, probes, answered.append))
        log = process.directory.worker_log.read_text(encoding="utf-8")
    assert len(answered) == len(probes.probes)
    assert " threads, compiled steps\n" in log


def test_int8_weights_are_refused_in_one_line_and_leave_nothing(tmp_path: Path, compiled_steps: Path) -> None:
    config = yaml.safe_load(DEFAULT_MODEL_CONFIG.read_text(encoding="utf-8"))
    config["handler"]["quantization"] = "int8"
    file = tmp_path / "int8.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    archive = build_archive(TINY, "tiny", "1.0", tmp_path, file)

    result = run_compile(archive)

    assert result.returncode == 1
    reason = "a step with quantization: int8 cannot be compiled"
    assert result.stderr == f"torchbridge: {archive} cannot be compiled: {reason}\n"
    assert not compiled_steps.exists()
