"""Writes a zip whose bytes depend on nothing but its entries' names and contents (zip_image.py says which they are)."""

import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from adapter.archives.record import FileRecord
from adapter.durable.disk_space import expect_space
from adapter.durable.replacement import replacement

Source: TypeAlias = bytes | Path

_EARLIEST_DATE = (1980, 1, 1, 0, 0, 0)  # of the zip format
_BLOCK_BYTES = 4 * 2**20
_MOST_CACHED_BYTES = 64 * 2**20


class SourceChanged(OSError):
    """A file has another content than when its record was made."""


def size_of(source: Source) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def record_of(source: Source, advance: Callable[[int], object] = lambda _: None) -> FileRecord:
    size, digest = 0, hashlib.sha256()
    for block in _blocks(source):
        size += len(block)
        digest.update(block)
        advance(len(block))
    return FileRecord(size=size, sha256=digest.hexdigest())


def write_zip(
    path: Path, sources: Mapping[str, Source], records: Mapping[str, FileRecord], advance: Callable[[int], object]
) -> None:
    """An archive is whole or absent. Raises SourceChanged where a record is wrong, DiskFull where there is no space."""
    expect_space(path.name, (path.parent, sum(size_of(source) for source in sources.values())))
    with replacement(path) as file:
        uncached = io.BufferedWriter(_UncachedFile(file.fileno(), "wb", closefd=False))
        with uncached, zipfile.ZipFile(uncached, "w") as archive:
            for name, source in sorted(sources.items()):
                _write_entry(archive, name, source, records[name], advance)
        os.fchmod(file.fileno(), 0o644)


class _UncachedFile(io.FileIO):
    """Frees the system's cache of what is on the disk: the system takes longer to find new memory than to write."""

    _cached_bytes = 0

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        self._cached_bytes += written
        if self._cached_bytes > _MOST_CACHED_BYTES and sys.platform == "linux":
            os.fdatasync(self.fileno())
            os.posix_fadvise(self.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            self._cached_bytes = 0
        return written


def _write_entry(
    archive: zipfile.ZipFile, name: str, source: Source, record: FileRecord, advance: Callable[[int], object]
) -> None:
    entry = zipfile.ZipInfo(name, _EARLIEST_DATE)
    entry.compress_type = zipfile.ZIP_STORED  # weights are as good as random
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3  # Unix, also where it is written on another system
    entry.file_size = record.size
    digest = hashlib.sha256()
    with archive.open(entry, "w") as target:
        for block in _blocks(source):
            digest.update(block)
            target.write(block)
            advance(len(block))
    if digest.hexdigest() != record.sha256:
        raise SourceChanged(f"{source if isinstance(source, Path) else name} changed while it was packed.")


def _blocks(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
