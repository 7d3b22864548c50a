"""How much memory stands behind tensors, as the kernel counts it: untouched pages and its page of zeros are none."""

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor


def resident_bytes(tensors: Iterable[Tensor]) -> int:
    """Of the maps that the tensors lie in, whole (proc_pid_smaps(5))."""
    spans = [(tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes) for tensor in tensors]
    total, is_theirs = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *fields = line.split()
        if not name.endswith(":"):
            begin, end = (int(address, 16) for address in name.split("-"))
            is_theirs = any(begin < stop and start < end for start, stop in spans)
        elif name == "Rss:" and is_theirs:
            total += 1024 * int(fields[0])
    return total
