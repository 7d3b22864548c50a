"""Reads an archive that is, byte for byte, the one zip that its files' names and contents can make; no other.

So no two readers of it can disagree: TorchServe reads from the front (ZipInputStream), Python from the back.
"""

import os
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from adapter.archives.zip_image import IN_ZIP64_FIELD, LOCAL_HEADER_BYTES, ZipEntry, central_directory, local_header

# No hidden files, no "..", no absolute, Windows or directory names, nothing that a file system could fold or normalise.
_NAME = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*", re.DOTALL)
_MAX_ENTRIES = 10_000
_BLOCK_BYTES = 2**20


class StrictZipError(ValueError):
    """It is not a zip that our writer writes, and the message says why."""


def read_entries(file: BinaryIO) -> list[ZipEntry]:
    """Checks all but the contents, and leaves `file` anywhere."""
    end_of_file = file.seek(0, os.SEEK_END)
    entries: list[ZipEntry] = []
    names_in_lower_case: set[str] = set()
    offset = 0
    while entry := _read_entry(file, offset):
        if entry.end > end_of_file:
            raise StrictZipError(f"{entry.name}: it ends after the archive does")
        if entries and entry.name <= entries[-1].name:
            raise StrictZipError(f"{entry.name}: it is there twice or out of order")
        if entry.name.lower() in names_in_lower_case:
            raise StrictZipError(f"{entry.name}: another file differs from it in upper and lower case only")
        entries.append(entry)
        names_in_lower_case.add(entry.name.lower())
        offset = entry.end
        if len(entries) > _MAX_ENTRIES:
            raise StrictZipError(f"it has more than {_MAX_ENTRIES} files")
    directory = central_directory(entries, offset)
    file.seek(offset)
    if not entries or file.read(len(directory) + 1) != directory:
        raise StrictZipError(f"what follows byte {offset} is neither a file nor the directory of the files before it")
    return entries


def read_content(file: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    """The content in blocks. Raises StrictZipError after the last one if it is not what was packed."""
    file.seek(entry.content_offset)
    missing, crc32 = entry.size, 0
    while block := file.read(min(missing, _BLOCK_BYTES)):
        missing -= len(block)
        crc32 = zlib.crc32(block, crc32)
        yield block
    if missing or crc32 != entry.crc32:
        raise StrictZipError(f"{entry.name}: its content has changed")


def _read_entry(file: BinaryIO, offset: int) -> ZipEntry | None:
    """The entry whose local header is at `offset`, or None where there is none."""
    file.seek(offset)
    fixed = file.read(LOCAL_HEADER_BYTES)
    if len(fixed) < LOCAL_HEADER_BYTES or not fixed.startswith(b"PK\x03\x04"):
        return None
    crc32, size, name_length = (int.from_bytes(fixed[at:end], "little") for at, end in ((14, 18), (18, 22), (26, 28)))
    name = file.read(name_length).decode("latin-1")
    if not _NAME.fullmatch(name):
        raise StrictZipError(f"{name[:80]!a} is not a name that an archive may have")
    if size == IN_ZIP64_FIELD:
        size = int.from_bytes(file.read(20)[4:12], "little")
    entry = ZipEntry(name, size, crc32, offset)
    expected = local_header(entry)
    file.seek(offset)
    if file.read(len(expected)) != expected:
        raise StrictZipError(f"{name}: its header is not as our writer writes it")
    return entry
