"""The directory of files and batches: one user's, and for one gateway at a time."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from adapter.durable.lock import exclusive
from adapter.durable.private_directory import claim_directory
from adapter.durable.replacement import sync_directory

_UNFINISHED = ".unfinished-"


class DirectoryInUse(RuntimeError):
    """Another gateway holds the directory, and runs its batches."""


class BatchDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.database = self.path / "batches.sqlite"
        self.files = self.path / "files"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Makes the directory, and keeps other processes out. Raises DirectoryInUse, or NotPrivate."""
        claim_directory(self.path)
        claim_directory(self.files)
        with exclusive(
            self.path / "lock",
            DirectoryInUse(
                f"Another gateway has its batches in {self.path}: TORCHBRIDGE_BATCH_DIRECTORY names another place."
            ),
        ):
            yield

    def file(self, file_id: str) -> Path:
        return self.files / file_id

    @contextmanager
    def new_file(self) -> Iterator["NewFile"]:
        """A new file, which is deleted at the end of the block unless it was kept."""
        descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self.files)  # 0600
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as content:
                yield NewFile(content, path, self.files)
        finally:
            path.unlink(missing_ok=True)

    def delete(self, file_id: str) -> None:
        self.file(file_id).unlink(missing_ok=True)

    def delete_all_but(self, file_ids: set[str]) -> None:
        """Deletes what a killed process has left, and no record knows."""
        for path in self.files.iterdir():
            if path.name not in file_ids:
                with suppress(OSError):
                    path.unlink()


class NewFile:
    def __init__(self, content: BinaryIO, path: Path, directory: Path) -> None:
        self.content = content
        self._path = path
        self._directory = directory

    def keep(self, file_id: str) -> int:
        """Gives the file its name, once all of it is on the disk. Returns its size in bytes."""
        self.content.flush()
        os.fsync(self.content.fileno())
        self._path.rename(self._directory / file_id)
        sync_directory(self._directory)
        return self.content.tell()
