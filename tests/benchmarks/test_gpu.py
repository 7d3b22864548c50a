"""`make bench-gpu` is run on a machine that is there for minutes: it rehearses on the CPU, and goes on where it can."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu, gpu_environment
from benchmarks.gpu import Page


def test_a_rehearsal_on_the_cpu_writes_the_whole_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--device", "cpu", "--without-stack", "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu", *arguments])
    gpu.main()

    rows = [line.split(" | ") for line in (tmp_path / "gpu.md").read_text().splitlines() if line.startswith("| ")]
    told = {row[0].removeprefix("| "): row[1:] for row in rows}
    assert [told[family] for family in ("llama", "qwen2", "gpt2")] == [["yes |"]] * 3
    for name in ("1B, alone", "8B, alone"):
        assert all(float(cell.replace(",", "")) > 0 for cell in told[name][:4])
    assert "What" not in told  # nothing was left out


def test_a_part_that_fails_is_told_and_the_next_one_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Page(began_at=float("inf"))

    assert page.run("a division", lambda: 1 // 0) is None
    assert page.run("a sum", lambda: 1 + 1) == 2
    assert page.left_out == ["a division: ZeroDivisionError: integer division or modulo by zero"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_no_part_is_begun_when_the_time_is_over() -> None:
    page = Page(began_at=float("-inf"))

    assert page.run("a sum", lambda: 1 + 1) is None
    assert page.left_out == ["a sum: there was no time left"]


def test_its_environment_has_what_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_environment, "WHEELS", tmp_path / "none")
    python = gpu_environment.environment(tmp_path / "environment")

    printed = subprocess.check_output([python, "-c", "import psutil; print(psutil.__file__)"], text=True)
    assert Path(printed).is_relative_to(sys.prefix)
