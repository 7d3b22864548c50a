"""A second copy of the weights must not end the service that has the first one."""

from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import PreTrainedModel

from handlers import spare_memory as module
from handlers.spare_memory import spare_memory, why_no_build

GIGABYTE = 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    memory = SimpleNamespace(available=100 * GIGABYTE)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: memory)
    return memory


def write_group(root: Path, group: str, limit: str, used: int, unused_files: int = 0) -> None:
    (root / "proc" / "self").mkdir(parents=True, exist_ok=True)
    (root / "proc" / "self" / "cgroup").write_text("4:memory:/old\n0::/kubepods/pod7/worker\n")
    directory = root / "sys" / "fs" / "cgroup" / group
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "memory.max").write_text(f"{limit}\n")
    (directory / "memory.current").write_text(f"{used}\n")
    (directory / "memory.stat").write_text(f"anon 1\ninactive_file {unused_files}\n")


def test_without_control_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert spare_memory(tmp_path) == 100 * GIGABYTE


@pytest.mark.parametrize("group", ["kubepods/pod7/worker", "kubepods/pod7", "."], ids=["own", "around it", "container"])
def test_the_least_that_a_control_group_leaves_counts(tmp_path: Path, group: str) -> None:
    write_group(tmp_path, "kubepods", "max", 5)
    write_group(tmp_path, group, str(8 * GIGABYTE), 7 * GIGABYTE, unused_files=2 * GIGABYTE)

    assert spare_memory(tmp_path) == 3 * GIGABYTE


def test_a_group_beyond_its_limit_leaves_nothing(tmp_path: Path) -> None:
    write_group(tmp_path, ".", "5", 7)

    assert spare_memory(tmp_path) == 0


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch, machine: SimpleNamespace) -> Callable[[PreTrainedModel, Path], int]:
    """How many bytes of weights a build is taken to need."""
    monkeypatch.setattr(module, "_MORE_THAN_WEIGHTS", 1)
    monkeypatch.setattr(module, "_COMPILER", 0)

    def least(model: PreTrainedModel, root: Path) -> int:
        def is_enough(available: int) -> bool:
            machine.available = available
            return why_no_build(model, root) is None

        return bisect_left(range(100 * 10**6), True, key=is_enough)

    return least


def test_memory_that_has_two_names_is_counted_once(
    wanted: Callable[[PreTrainedModel, Path], int], llama: PreTrainedModel, tmp_path: Path
) -> None:
    before = wanted(llama, tmp_path)
    int8 = torch.zeros(64, 64, dtype=torch.int8)
    llama.register_buffer("int8", int8, persistent=False)
    llama.register_buffer("fours", int8.view(torch.int32), persistent=False)

    assert wanted(llama, tmp_path) - before == 64 * 64


def test_a_build_needs_the_weights_once_more_and_a_gigabyte(
    llama: PreTrainedModel, machine: SimpleNamespace, tmp_path: Path
) -> None:
    weights = sum(tensor.nbytes for tensor in [*llama.parameters(), *llama.buffers()])
    machine.available = GIGABYTE + int(1.2 * weights) + 1
    assert why_no_build(llama, tmp_path) is None

    machine.available = GIGABYTE + weights

    reason = why_no_build(llama, tmp_path)
    assert reason is not None
    assert reason.startswith("there is not enough memory: a build takes up to 1.0 GB, and 1.0 GB are left")
