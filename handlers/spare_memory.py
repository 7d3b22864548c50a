"""How much memory a process may still take: a control group that runs out may lose all that is in it, and not one."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import torch
from torch import Tensor
from transformers import PreTrainedModel

_MORE_THAN_WEIGHTS = 1.2
_COMPILER = 10**9  # bytes: torch, inductor, and g++ at its largest


def why_no_build(model: PreTrainedModel, root: Path = Path("/")) -> str | None:
    """None where a process that loads this model once more, and compiles it, has the memory."""
    wanted, spare = _MORE_THAN_WEIGHTS * _weight_bytes(model) + _COMPILER, spare_memory(root)
    if spare >= wanted:
        return None
    return f"there is not enough memory: a build takes up to {wanted / 1e9:.1f} GB, and {spare / 1e9:.1f} GB are left"


def spare_memory(root: Path = Path("/")) -> int:
    """Bytes, of this machine and of each control group (version 2) around this process."""
    return min([psutil.virtual_memory().available, *_left_in_groups(root)])


def _weight_bytes(model: PreTrainedModel) -> int:
    """Bytes of the weights, also of those in the model's file: they stand for what else a build takes."""
    return sum(dict(map(_memory_of, (*model.parameters(), *model.buffers()))).values())


def _memory_of(tensor: Tensor) -> tuple[int, int]:
    """Where it begins, and its bytes: several tensors may be views of one memory."""
    if tensor.layout is not torch.strided:  # packed by oneDNN, which tells no address: never a view
        return -id(tensor), tensor.nbytes
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


def _left_in_groups(root: Path) -> Iterator[int]:
    mounted = root / "sys/fs/cgroup"
    for group in _groups(root):
        for directory in (mounted / group, *(mounted / above for above in group.parents)):
            limit, used = _number(directory / "memory.max"), _number(directory / "memory.current")
            if limit is not None and used is not None:
                yield max(limit - used + _unused_files(directory), 0)


def _groups(root: Path) -> Iterator[Path]:
    """Groups of version 2. A container may know its own by the name that the host gave it, and see it at the root."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            yield Path(line.removeprefix("0::").strip("/"))


def _unused_files(group: Path) -> int:
    """Bytes of files that count as the group's memory, such as a model's that was read: the kernel drops them first."""
    for line in _read(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


def _number(file: Path) -> int | None:
    """None, too, for no limit: "max"."""
    text = _read(file).strip()
    return int(text) if text.isdecimal() else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
