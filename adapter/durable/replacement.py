"""Writes that outlive the process, and the machine: what was said to be written is on the disk."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from adapter.durable.disk_space import full_disk_in_words

PRIVATE, SHARED = 0o600, 0o666  # what the umask takes is taken from both


def write_durably(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """The whole content or, whatever happens, the one of before. Raises OSError; DiskFull where there is no space."""
    with replacement(path, mode) as file:
        file.write(content)


@contextmanager
def replacement(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` once all of it is on the disk. Where anything fails it is gone.

    Raises OSError; DiskFull where there is no space.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with full_disk_in_words(path.name, path.parent):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in it durable: those of new, renamed and removed files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
