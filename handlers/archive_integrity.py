"""Whether TorchServe unpacked what was packed: a disk can fail, and another process can write, after any check."""

import hashlib
import json
from pathlib import Path


class ArchiveChangedError(ValueError):
    """A file is not the one that was packed, and the message says which."""


def check_unpacked_files(directory: Path) -> str:
    """Compares each file with the archive's record, and answers the record's own SHA-256."""
    record = (directory / "MAR-INF" / "RECORD.json").read_bytes()
    packed = {name: file["sha256"] for name, file in json.loads(record)["files"].items()}
    # Beside the code Python leaves its cache; among the model's files a stray one could be loaded.
    unpacked = {f"model/{path.name}" for path in (directory / "model").iterdir()}
    for name in sorted(unpacked | packed.keys()):
        path = directory / name
        if name not in packed:
            raise ArchiveChangedError(f"{name} was not packed")
        if not path.is_file():
            raise ArchiveChangedError(f"{name} is missing, but was packed")
        if _sha256(path) != packed[name]:
            raise ArchiveChangedError(f"{name} has changed since it was packed")
    return hashlib.sha256(record).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
