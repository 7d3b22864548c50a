"""A file that arrives in pieces, over several calls if need be, with the digest of what has arrived."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

from adapter.artifacts.errors import ArtifactError

_BLOCK_BYTES = 2**20


class PartialFile:
    """`size`: the bytes that are there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begin()
        while block := file.read(_BLOCK_BYTES):
            self._count(block)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Self]:
        """Opens it with what an earlier call has left. Raises ArtifactError if another process is at work on it."""
        with path.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArtifactError(f"Another process is pulling {path.parent / path.stem.lstrip('.')}.") from None
            yield cls(file)

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"

    def append(self, block: bytes) -> None:
        self._file.write(block)
        self._count(block)

    def empty(self) -> None:
        self._file.truncate(0)
        self._begin()

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def _begin(self) -> None:
        self._file.seek(0)
        self._sha256, self.size = hashlib.sha256(), 0

    def _count(self, block: bytes) -> None:
        self._sha256.update(block)
        self.size += len(block)
