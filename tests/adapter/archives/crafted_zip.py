"""Zips of which every byte can be chosen; with nothing chosen, what our writer writes."""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile
from zlib import crc32

_DATE = 33
_MODE = 0o100644 << 16


@dataclass
class Member:
    """`local` and `central` replace fields of the two headers by their names in `headers`."""

    name: bytes
    content: bytes
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)
    before: bytes = b""
    after: bytes = b""

    def both(self, **fields: Any) -> None:
        self.local |= fields
        self.central |= fields

    def headers(self) -> dict[str, Any]:
        size = len(self.content)
        fields = {"version": 20, "flags": 0, "method": 0, "time": 0, "date": _DATE, "crc": crc32(self.content)}
        return fields | {"packed": size, "size": size, "name": self.name, "extra": b""}


def members_of(archive: Path) -> list[Member]:
    with ZipFile(archive) as opened:
        return [Member(entry.filename.encode(), opened.read(entry)) for entry in opened.infolist()]


def zip_bytes(
    members: list[Member], *, before_directory: bytes = b"", before_end: bytes = b"", after: bytes = b"", **end: Any
) -> bytes:
    """`end` replaces fields of the end record."""
    image, directory = b"", b""
    for member in members:
        image += member.before
        directory += _central_header(member, len(image))
        image += _local_header(member) + member.content + member.after
    image += before_directory
    fields = {"disk": 0, "count": len(members), "size": len(directory), "offset": len(image), "comment": b""} | end
    end_record = struct.pack(
        "<4s4H2LH",
        b"PK\x05\x06",
        fields["disk"],
        fields["disk"],
        fields["count"],
        fields["count"],
        fields["size"],
        fields["offset"],
        len(fields["comment"]),
    )
    return image + directory + before_end + end_record + fields["comment"] + after


def _local_header(member: Member) -> bytes:
    fields = {"signature": b"PK\x03\x04"} | member.headers() | member.local
    return struct.pack("<4s5H3L2H", fields["signature"], *_common(fields)) + fields["name"] + fields["extra"]


def _central_header(member: Member, offset: int) -> bytes:
    defaults = {"made_by": 3 << 8 | 20, "comment": b"", "disk": 0, "internal": 0, "external": _MODE, "offset": offset}
    fields = member.headers() | defaults | member.central
    own = (len(fields["comment"]), fields["disk"], fields["internal"], fields["external"], fields["offset"])
    header = struct.pack("<4sH5H3L5H2L", b"PK\x01\x02", fields["made_by"], *_common(fields), *own)
    return header + fields["name"] + fields["extra"] + fields["comment"]


def _common(fields: dict[str, Any]) -> tuple[int, ...]:
    names = ("version", "flags", "method", "time", "date", "crc", "packed", "size")
    return (*(fields[name] for name in names), len(fields["name"]), len(fields["extra"]))
