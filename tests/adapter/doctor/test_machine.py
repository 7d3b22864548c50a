"""`torchbridge doctor` on the machine."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.doctor import machine
from adapter.doctor.finding import Scene, Severity
from tests.adapter.doctor.findings import found


def test_a_compiler_that_is_not_there(scene: Scene) -> None:
    environment = {"PATH": str(scene.run_directory), "CXX": "g++"}
    finding = found(machine.check_compiler, replace(scene, environment=environment))
    assert finding.severity is Severity.WARNING
    quiet = replace(scene, environment=environment | {"TORCHBRIDGE_COMPILE": "false"})
    assert list(machine.check_compiler(quiet)) == []


def test_fewer_threads_than_cores(scene: Scene) -> None:
    few = replace(scene, environment={"OMP_NUM_THREADS": "0"})
    assert "OMP_NUM_THREADS=0" in found(machine.check_threads, few).what


def test_a_clock_of_before(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 10**9)  # in the year 2001
    assert "before this installation was made" in found(machine.check_clock, scene).what


def test_little_memory_in_a_container(scene: Scene, tmp_path: Path) -> None:
    group = tmp_path / "root" / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("600000000\n")
    (group / "memory.current").write_text("100000000\n")
    assert "500 MB of memory are left" in found(machine.check_memory, replace(scene, root=tmp_path / "root")).what


def test_few_files() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256));"
        "from adapter.doctor.machine import check_files; from adapter.doctor.finding import Scene;"
        "[print(each.what) for each in check_files(None)]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert "may open 256 files" in done.stdout
