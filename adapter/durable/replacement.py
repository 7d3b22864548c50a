"""Writes that outlive the process, and the machine: what was said to be written is on the disk."""

import os
import tempfile
from pathlib import Path

from adapter.durable.disk_space import full_disk_in_words


def write_durably(path: Path, content: bytes) -> None:
    """The whole content or, whatever happens, the one of before. Raises OSError; DiskFull where there is no space."""
    with full_disk_in_words(path.name, path.parent):
        _write_durably(path, content)


def _write_durably(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in it durable: those of new, renamed and removed files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
