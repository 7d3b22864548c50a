"""A file system of a few megabytes, of memory, and how to fill it. To mount one takes root."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest


@contextmanager
def small_disk(place: Path, num_bytes: int) -> Iterator[Path]:
    """Mounted at `place`. Skips the test where that is not allowed."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes},mode=0700", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield place
    finally:
        # Lazily: whoever still has a file open there, keeps it.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, *, free: int = 0) -> Path:
    """Until not a byte more goes there, which is tried, or only `free` bytes. Gives the file to delete."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        if not free:
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                _write_without_end(file)
            return filler
        status = os.statvfs(disk)
        file.write(bytes(status.f_bavail * status.f_frsize - free))
    return filler


def _write_without_end(file: BinaryIO) -> None:
    while True:
        file.write(bytes(4096))
