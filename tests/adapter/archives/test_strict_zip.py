"""Whatever a zip can say in more than one way, or hide from one of its readers, is refused before it is read."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.archives.strict_zip import StrictZipError, read_content, read_entries
from tests.adapter.archives.crafted_zip import Member, members_of, zip_bytes

ZIP64_FIELD = struct.pack("<2H2Q", 1, 16, 5, 5)


def three() -> list[Member]:
    return [Member(b"a", b"first"), Member(b"b/c", b"second"), Member(b"d", b"")]


def read(archive: bytes) -> dict[str, bytes]:
    file = io.BytesIO(archive)
    return {entry.name: b"".join(read_content(file, entry)) for entry in read_entries(file)}


def test_reads_what_the_writer_writes(archive: Path) -> None:
    members = members_of(archive)

    assert read(archive.read_bytes()) == {member.name.decode(): member.content for member in members}
    assert zip_bytes(members) == archive.read_bytes()  # what is crafted below differs in what it says alone


def changed(change: Callable[[list[Member]], object]) -> bytes:
    members = three()
    change(members)
    return zip_bytes(members)


def first(**fields: object) -> Callable[[list[Member]], object]:
    """Says the same in both headers of the first file."""
    return lambda members: members[0].both(**fields)


def named(name: bytes) -> bytes:
    return zip_bytes([Member(name, b"")])


def deflated(content: bytes) -> Callable[[list[Member]], object]:
    def change(members: list[Member]) -> None:
        members[0].content = zlib.compress(content)[2:-4]
        members[0].both(method=8, crc=zlib.crc32(content), size=len(content))

    return change


def with_data_descriptor(members: list[Member]) -> None:
    size, crc = len(members[0].content), zlib.crc32(members[0].content)
    members[0].both(flags=8)
    members[0].local |= {"crc": 0, "packed": 0, "size": 0}
    members[0].after = b"PK\x07\x08" + struct.pack("<3L", crc, size, size)


def with_zip64_end(members: list[Member]) -> bytes:
    plain = zip_bytes(members)
    offset, size = len(plain) - 22 - 3 * 46 - 5, 3 * 46 + 5
    end = b"PK\x06\x06" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 3, 3, size, offset)
    return zip_bytes(members, before_end=end + b"PK\x06\x07" + struct.pack("<LQL", 0, offset + size, 1))


HEADER = "a: its header is not as our writer writes it"
DIRECTORY = "neither a file nor the directory"
NAME = "is not a name that an archive may have"

CRAFTED = {
    "an empty file": (b"", DIRECTORY),
    "an archive without files": (zip_bytes([]), DIRECTORY),
    "another kind of file": (b"\x80\x04\x95" + bytes(100), DIRECTORY),
    "a cut archive": (zip_bytes(three())[:-1], DIRECTORY),
    "an archive without its end": (zip_bytes(three())[:-22], DIRECTORY),
    "a script before the archive": (b"#!/bin/sh\n" + zip_bytes(three()), DIRECTORY),
    "a marker of a split archive": (b"PK\x07\x08" + zip_bytes(three()), DIRECTORY),
    "a gap before the first file": (changed(lambda m: setattr(m[0], "before", b"gap")), DIRECTORY),
    "a gap between files": (changed(lambda m: setattr(m[1], "before", b"gap")), DIRECTORY),
    "a gap before the directory": (zip_bytes(three(), before_directory=b"gap"), DIRECTORY),
    "a gap after the directory": (zip_bytes(three(), before_end=b"gap"), DIRECTORY),
    "a signature of the directory": (zip_bytes(three(), before_end=b"PK\x05\x05\x01\x00x"), DIRECTORY),
    "a byte after the end": (zip_bytes(three(), after=b"\0"), DIRECTORY),
    "an archive after the end": (zip_bytes(three(), after=zip_bytes(three()[:1])), DIRECTORY),
    "a comment": (zip_bytes(three(), comment=b"hello"), DIRECTORY),
    "a comment that ends as an archive does": (zip_bytes(three(), comment=zip_bytes([])), DIRECTORY),
    "a wrong number of files": (zip_bytes(three(), count=2), DIRECTORY),
    "a wrong place of the directory": (zip_bytes(three(), offset=0), DIRECTORY),
    "a wrong size of the directory": (zip_bytes(three(), size=1), DIRECTORY),
    "another disk": (zip_bytes(three(), disk=1), DIRECTORY),
    "a zip64 end without need": (with_zip64_end(three()), DIRECTORY),
    "a compressed file": (changed(deflated(b"first")), HEADER),
    "a bomb": (changed(deflated(bytes(10**6))), HEADER),
    "sizes after the file": (changed(with_data_descriptor), HEADER),
    "an encrypted file": (changed(first(flags=1)), HEADER),
    "a name in UTF-8": (changed(first(flags=0x800)), HEADER),
    "a date": (changed(first(date=34)), HEADER),
    "a time": (changed(first(time=1)), HEADER),
    "a newer format": (changed(first(version=63)), HEADER),
    "a compressed size of its own": (changed(first(packed=4)), HEADER),
    "an extra field": (changed(first(extra=b"\xfe\xca\x00\x00")), HEADER),
    "a zip64 field without need": (
        changed(first(version=45, packed=0xFFFFFFFF, size=0xFFFFFFFF, extra=ZIP64_FIELD)),
        HEADER,
    ),
    "a zip64 size that no file has": (
        changed(
            first(
                version=45, packed=0xFFFFFFFF, size=0xFFFFFFFF, extra=struct.pack("<2H2Q", 1, 16, 2**64 - 1, 2**64 - 1)
            )
        ),
        "a: it ends after the archive does",
    ),
    "a size up to the archive's end": (
        changed(first(packed=2_000, size=2_000)),
        "a: it ends after the archive does",
    ),
    "a file that swallows the next": (changed(first(packed=46, size=46)), DIRECTORY),
    "a wrong checksum": (changed(first(crc=1)), "a: its content has changed"),
    "another name in the directory": (changed(lambda m: m[0].central.update(name=b"x")), DIRECTORY),
    "another size in the directory": (changed(lambda m: m[0].central.update(size=4, packed=4)), DIRECTORY),
    "another checksum in the directory": (changed(lambda m: m[0].central.update(crc=1)), DIRECTORY),
    "another place in the directory": (changed(lambda m: m[1].central.update(offset=0)), DIRECTORY),
    "an extra field in the directory": (changed(lambda m: m[0].central.update(extra=b"\xfe\xca\x00\x00")), DIRECTORY),
    "a comment on a file": (changed(lambda m: m[0].central.update(comment=b"hello")), DIRECTORY),
    "a link": (changed(lambda m: m[0].central.update(external=0o120777 << 16)), DIRECTORY),
    "an executable": (changed(lambda m: m[0].central.update(external=0o100755 << 16)), DIRECTORY),
    "a file of another system": (changed(lambda m: m[0].central.update(made_by=20)), DIRECTORY),
    "a file that the directory leaves out": (
        zip_bytes(three()).replace(zip_bytes(three())[-22 - 3 * 46 - 5 :][:47], b""),
        DIRECTORY,
    ),
    "a file that only the directory has": (zip_bytes(three()[:1], before_end=zip_bytes(three())[-70:-22]), DIRECTORY),
    "a directory": (named(b"a/"), NAME),
    "a way up": (named(b"../a"), NAME),
    "a way up in the middle": (named(b"a/../../b"), NAME),
    "an absolute name": (named(b"/etc/passwd"), NAME),
    "a Windows way": (named(b"a\\..\\b"), NAME),
    "a drive": (named(b"C:a"), NAME),
    "an empty part": (named(b"a//b"), NAME),
    "a dot": (named(b"a/./b"), NAME),
    "a hidden file": (named(b"a/.git"), NAME),
    "no name": (named(b""), NAME),
    "a name with a zero": (named(b"a\0b"), NAME),
    "a name with a line's end": (named(b"a\n"), NAME),
    "a name that ends a terminal's line": (named(b"a\x1b[2K"), NAME),
    "a name in Latin-1": (named("ä".encode("latin-1")), NAME),
    "a name that is not ASCII": (named("ａ".encode()), NAME),
    "a name that no file system takes": (named(b"a" * 256), NAME),
    "a file twice": (zip_bytes([Member(b"a", b"1"), Member(b"a", b"2")]), "a: it is there twice or out of order"),
    "files in another order": (zip_bytes(three()[::-1]), "b/c: it is there twice or out of order"),
    "names that differ in case": (
        zip_bytes([Member(b"A.model", b"1"), Member(b"a.model", b"2")]),
        "a.model: another file differs from it in upper and lower case only",
    ),
    "too many files": (zip_bytes([Member(b"%05d" % i, b"") for i in range(10_001)]), "more than 10000 files"),
}


@pytest.mark.parametrize(("archive", "reason"), CRAFTED.values(), ids=CRAFTED.keys())
def test_refuses(archive: bytes, reason: str) -> None:
    with pytest.raises(StrictZipError, match=reason):
        read(archive)
