"""The facts that the gateway needs about a version's archive, whatever its age."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from adapter.archives.content_rules import ContentError, read_whole
from adapter.archives.recommended_sampling import GENERATION_CONFIG, read_sampling_defaults
from adapter.archives.record import RECORD_ENTRY, ArchiveRecord
from adapter.archives.strict_zip import StrictZipError, read_entries
from adapter.archives.zip_image import ZipEntry
from adapter.schema import CONTRACT_VERSION, SamplingDefaults

_REMEMBERED = 256


class ServedArchive(NamedTuple):
    """The defaults are those of an archive that this installation packs."""

    contract: int = CONTRACT_VERSION
    sampling_defaults: SamplingDefaults = SamplingDefaults()
    stored_at: int = 0  # Unix time: when its file was written into the store, which is when it was deployed


def read_served_archive(archive: Path) -> ServedArchive | None:
    """None if the file cannot be read, or torchbridge did not pack it. A file is read once."""
    try:
        status = archive.stat()
        read = _read(archive, (status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError:  # it may pass, and is not remembered
        return None
    return read and read._replace(stored_at=int(status.st_mtime))


@lru_cache(_REMEMBERED)
def _read(archive: Path, _: tuple[int, int, int]) -> ServedArchive | None:
    try:
        with archive.open("rb") as file:
            entries = {entry.name: entry for entry in read_entries(file)}
            record = ArchiveRecord.from_bytes(read_whole(file, entries[RECORD_ENTRY]))
            return ServedArchive(record.contract, _sampling_defaults(file, entries))
    except (ContentError, KeyError, RecursionError, StrictZipError, ValueError):
        return None


def _sampling_defaults(file: BinaryIO, entries: Mapping[str, ZipEntry]) -> SamplingDefaults:
    entry = entries.get(f"model/{GENERATION_CONFIG}")
    return SamplingDefaults() if entry is None else read_sampling_defaults(read_whole(file, entry))
