"""Checks that TorchServe unpacked what was packed: a disk can fail, and another process can write, after any check."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path


class ArchiveChangedError(ValueError):
    """A file is not the one that was packed, and the message says which."""


def check_unpacked_files(directory: Path) -> str:
    """Compares each file with the archive's record, and returns the record's own SHA-256."""
    return _check_contents(directory, _check_names(directory))


@contextmanager
def checked_beside(directory: Path) -> Iterator[Future[str]]:
    """As check_unpacked_files, while its block reads the files: their contents' digests take as long as a load does.

    Its value has the answer after the block. Raises ArchiveChangedError before the block where files are missing or
    strange, and after it, whatever came of it, where one has changed.
    """
    record = _check_names(directory)
    with ThreadPoolExecutor(1, "digests") as beside:
        answer = beside.submit(_check_contents, directory, record)
        try:
            yield answer
        finally:
            answer.result()  # an error of the block is likely due to it


def _check_names(directory: Path) -> bytes:
    """Returns the archive's record."""
    record = (directory / "MAR-INF" / "RECORD.json").read_bytes()
    packed = _digests_in(record)
    # Beside the code Python leaves its cache; among the model's files a stray one could be loaded.
    unpacked = {f"model/{path.name}" for path in (directory / "model").iterdir()}
    for name in sorted(unpacked | packed.keys()):
        if name not in packed:
            raise ArchiveChangedError(f"{name} was not packed")
        if not (directory / name).is_file():
            raise ArchiveChangedError(f"{name} is missing, but was packed")
    return record


def _check_contents(directory: Path, record: bytes) -> str:
    """Returns the record's own SHA-256."""
    for name, digest in sorted(_digests_in(record).items()):
        if _sha256(directory / name) != digest:
            raise ArchiveChangedError(f"{name} has changed since it was packed")
    return hashlib.sha256(record).hexdigest()


def _digests_in(record: bytes) -> dict[str, str]:
    return {name: file["sha256"] for name, file in json.loads(record)["files"].items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
