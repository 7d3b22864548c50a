"""Whether TorchServe unpacked what was packed: a disk can fail, and another process can write, after any check."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path


class ArchiveChangedError(ValueError):
    """A file is not the one that was packed, and the message says which."""


def check_unpacked_files(directory: Path) -> str:
    """Compares each file with the archive's record, and answers the record's own SHA-256."""
    record = (directory / "MAR-INF" / "RECORD.json").read_bytes()
    packed = _check_names(directory, record)
    _check_contents(directory, packed)
    return hashlib.sha256(record).hexdigest()


@contextmanager
def checked_beside(directory: Path) -> Iterator[Future[str]]:
    """As check_unpacked_files, while its block reads the files: their contents' digests take as long as a load does.

    Its value has the answer after the block. Raises ArchiveChangedError before the block where files are missing or
    strange, and after it, whatever came of it, where one has changed.
    """
    record = (directory / "MAR-INF" / "RECORD.json").read_bytes()
    _check_names(directory, record)
    with ThreadPoolExecutor(1, "digests") as beside:
        answer = beside.submit(check_unpacked_files, directory)
        try:
            yield answer
        finally:
            answer.result()  # an error of the block is likely due to it


def _check_names(directory: Path, record: bytes) -> dict[str, str]:
    """The digests of the packed files."""
    packed = {name: file["sha256"] for name, file in json.loads(record)["files"].items()}
    # Beside the code Python leaves its cache; among the model's files a stray one could be loaded.
    unpacked = {f"model/{path.name}" for path in (directory / "model").iterdir()}
    for name in sorted(unpacked | packed.keys()):
        if name not in packed:
            raise ArchiveChangedError(f"{name} was not packed")
        if not (directory / name).is_file():
            raise ArchiveChangedError(f"{name} is missing, but was packed")
    return packed


def _check_contents(directory: Path, packed: Mapping[str, str]) -> None:
    for name in sorted(packed):
        if _sha256(directory / name) != packed[name]:
            raise ArchiveChangedError(f"{name} has changed since it was packed")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
