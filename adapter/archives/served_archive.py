"""What the gateway has to know of the archive that a version runs, whatever its age."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from adapter.archives.content_rules import ContentError, read_whole
from adapter.archives.record import RECORD_ENTRY, ArchiveRecord
from adapter.archives.strict_zip import StrictZipError, read_entries
from adapter.schema import CONTRACT_VERSION

_REMEMBERED = 256


class ServedArchive(NamedTuple):
    """As this installation packs them, unless it is said otherwise."""

    contract: int = CONTRACT_VERSION


def read_served_archive(archive: Path) -> ServedArchive | None:
    """Nothing where the file cannot be read, or is none that torchbridge packed. A file is read once."""
    try:
        status = archive.stat()
    except OSError:
        return None
    return _read(archive, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(_REMEMBERED)
def _read(archive: Path, _: tuple[int, int, int]) -> ServedArchive | None:
    try:
        with archive.open("rb") as file:
            entries = {entry.name: entry for entry in read_entries(file)}
            record = ArchiveRecord.from_bytes(read_whole(file, entries[RECORD_ENTRY]))
    except (ContentError, KeyError, OSError, StrictZipError, ValueError):
        return None
    return ServedArchive(record.contract)
