"""Reads what an archive says of itself. The archive may be anybody's, so only the strict reader reads it.

adapter/archives/verification.py finds out whether it is true.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, Field, ValidationError

from adapter.archives.content_rules import ContentError, read_whole
from adapter.archives.record import BOM_ENTRY, MANIFEST_ENTRY, RECORD_ENTRY, ArchiveRecord, canonical_json
from adapter.archives.strict_zip import StrictZipError, read_content, read_entries
from adapter.archives.zip_image import ZipEntry
from adapter.probes import PROBES_ENTRY, Probes


class ArchiveError(ValueError):
    """The archive cannot be written or read, and the message says why."""


class NotOurArchive(ArchiveError):
    """torchbridge did not pack the file, or it has changed since."""

    def __init__(self, archive: Path, reason: str) -> None:
        super().__init__(f"{archive} is not an archive that torchbridge packed: {reason}.")


class _ManifestModel(BaseModel):
    name: str = Field(alias="modelName")
    version: str = Field(alias="modelVersion")


class ArchiveManifest(BaseModel):
    """The manifest by which TorchServe knows an archive."""

    model: _ManifestModel


def read_manifest(archive: Path) -> ArchiveManifest:
    """Raises ArchiveError."""
    try:
        return ArchiveManifest.model_validate_json(_read_entry(archive, MANIFEST_ENTRY) or b"")
    except ValidationError as error:
        raise ArchiveError(f"{archive} is not a model archive.") from error


def read_record(archive: Path) -> ArchiveRecord:
    """Raises ArchiveError."""
    content = _read_entry(archive, RECORD_ENTRY)
    if content is None:
        raise NotOurArchive(archive, f"it has no {RECORD_ENTRY}")
    try:
        return ArchiveRecord.from_bytes(content)
    except ValueError as error:
        raise NotOurArchive(archive, f"its {RECORD_ENTRY} is not a record that torchbridge writes") from error


def read_probes(archive: Path) -> Probes | None:
    """None if the archive was packed without a check. Raises ArchiveError."""
    content = _read_entry(archive, PROBES_ENTRY)
    try:
        return None if content is None else Probes.from_bytes(content)
    except ValueError as error:
        raise ArchiveError(f"{archive} has probes that torchbridge did not write.") from error


def read_bill_of_materials(archive: Path) -> str:
    """JSON in ASCII, which can be shown on a terminal. Raises ArchiveError."""
    content = _read_entry(archive, BOM_ENTRY)
    if content is None:
        raise ArchiveError(f"{archive} has no bill of materials: torchbridge pack writes one.")
    if not _is_canonical_json(content):
        raise ArchiveError(f"{archive} has a bill of materials that torchbridge did not write.")
    return content.decode("ascii")


def unpack(archive: Path, directory: Path) -> None:
    """Writes each file of the archive below the empty `directory`. Raises ArchiveError, or OSError where it cannot."""
    with _opened(archive) as (file, entries):
        for entry in entries.values():
            path = directory / entry.name  # the strict reader takes no name that leads out of it
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as target:
                for block in read_content(file, entry):
                    target.write(block)


def _read_entry(archive: Path, name: str) -> bytes | None:
    """None if the archive has no such entry."""
    with _opened(archive) as (file, entries):
        return read_whole(file, entries[name]) if name in entries else None


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[BinaryIO, Mapping[str, ZipEntry]]]:
    try:
        file = archive.open("rb")
    except OSError as error:
        raise ArchiveError(f"{archive}: {error.strerror}") from error
    with file:
        try:
            yield file, {entry.name: entry for entry in read_entries(file)}
        except (ContentError, StrictZipError) as error:
            raise NotOurArchive(archive, str(error)) from error


def _is_canonical_json(content: bytes) -> bool:
    try:
        return canonical_json(json.loads(content)) == content
    except (ValueError, RecursionError):
        return False
