"""The bytes that an archive has between its files' contents: names and contents leave no choice about any of them.

They are what Python's zipfile writes for the entries of adapter/archives/archive.py, and all there is of a zip in them:
stored files of one date and mode, nothing compressed, encrypted, commented, padded or written after the fact.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from zipfile import ZIP64_LIMIT

LOCAL_HEADER_BYTES = 30
IN_ZIP64_FIELD = 0xFFFF_FFFF

_DATE = 1 << 5 | 1  # 1980-01-01
_UNIX = 3
_MODE = 0o100644 << 16
_VERSION, _ZIP64_VERSION = 20, 45
_ZIP64_FIELD = 1


@dataclass(frozen=True, slots=True)
class ZipEntry:
    name: str
    size: int
    crc32: int
    offset: int  # where its local header begins

    @property
    def content_offset(self) -> int:
        return self.offset + len(local_header(self))

    @property
    def end(self) -> int:
        return self.content_offset + self.size


def local_header(entry: ZipEntry) -> bytes:
    name = entry.name.encode("ascii")
    is_long = _has_long_local_header(entry)
    size = IN_ZIP64_FIELD if is_long else entry.size
    zip64_field = _zip64_field(entry.size, entry.size) if is_long else b""
    version = _ZIP64_VERSION if is_long else _VERSION
    fields = (version, 0, 0, 0, 0, _DATE, entry.crc32, size, size, len(name), len(zip64_field))
    return struct.pack("<4s2B4H3L2H", b"PK\x03\x04", *fields) + name + zip64_field


def central_directory(entries: Sequence[ZipEntry], offset: int) -> bytes:
    """The bytes behind the last content, which ends at `offset`, for fewer than 65,536 entries."""
    directory = b"".join(map(_central_header, entries))
    count, size = len(entries), len(directory)
    end = b""
    if offset > ZIP64_LIMIT:
        fields = (44, _ZIP64_VERSION, _ZIP64_VERSION, 0, 0, count, count, size, offset)
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", *fields)
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + size, 1)
    end += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, min(offset, IN_ZIP64_FIELD), 0)
    return directory + end


def _central_header(entry: ZipEntry) -> bytes:
    name = entry.name.encode("ascii")
    size, offset, long_values = entry.size, entry.offset, []
    if entry.size > ZIP64_LIMIT:
        size = IN_ZIP64_FIELD
        long_values += [entry.size, entry.size]
    if entry.offset > ZIP64_LIMIT:
        offset = IN_ZIP64_FIELD
        long_values.append(entry.offset)
    zip64_field = _zip64_field(*long_values) if long_values else b""
    version = _ZIP64_VERSION if long_values or _has_long_local_header(entry) else _VERSION
    fields = (version, _UNIX, version, 0, 0, 0, 0, _DATE, entry.crc32, size, size, len(name), len(zip64_field))
    return struct.pack("<4s4B4H3L5H2L", b"PK\x01\x02", *fields, 0, 0, 0, _MODE, offset) + name + zip64_field


def _has_long_local_header(entry: ZipEntry) -> bool:
    # zipfile decides before it knows what compression does to the size.
    return entry.size * 1.05 > ZIP64_LIMIT


def _zip64_field(*values: int) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", _ZIP64_FIELD, 8 * len(values), *values)
