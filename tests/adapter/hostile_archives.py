"""Archives that a zip reader stumbles over, or that take more memory than there is, by what is wrong with each."""

import zlib
from collections.abc import Callable
from pathlib import Path

from tests.adapter.archives.crafted_zip import Member, zip_bytes

RECORD, MANIFEST = b"MAR-INF/RECORD.json", b"MAR-INF/MANIFEST.json"
BOMB_BYTES = 2**30
_NAMES = (MANIFEST, b"MAR-INF/PROBES.json", RECORD, b"MAR-INF/bom.cdx.json", b"model/config.json")


def _members() -> list[Member]:
    return [Member(name, b"{}") for name in _NAMES]


def _all(**fields: object) -> bytes:
    """Says the same in both headers of each file, whichever a command reads first."""
    members = _members()
    for member in members:
        member.both(**fields)
    return zip_bytes(members)


def _bad_deflate_data() -> bytes:
    members = _members()
    for member in members:
        member.content = b"\xff\xff"
        member.both(method=8)
    return zip_bytes(members)


def _shorter_files_than_its_directory_says() -> bytes:
    members = _members()
    for member in members:
        member.central.update(packed=10**6, size=10**6)
    return zip_bytes(members)


MALFORMED: dict[str, Callable[[], bytes]] = {
    "an encrypted file": lambda: _all(flags=1),
    "a compression that nobody knows": lambda: _all(method=99),
    "bad deflate data": _bad_deflate_data,
    "shorter files than its directory says": _shorter_files_than_its_directory_says,
    "a directory that is too long": lambda: zip_bytes(_members(), size=60_000),
    "a directory elsewhere": lambda: zip_bytes(_members(), offset=2**31),
    "more files than there are": lambda: zip_bytes(_members(), count=60_000),
    "names that are none": lambda: zip_bytes([Member(b"MAR-INF/\xff\x1b[2K", b"")]),
    "no file": lambda: zip_bytes([]),
    "half of it": lambda: zip_bytes(_members())[:100],
    "no byte": lambda: b"",
    "no zip": lambda: b"\x80\x04 no zip" * 100,
}
# Strict zips: to say that no pickle is in them is true.
MISTAKEN: dict[str, Callable[[], bytes]] = {
    "a wrong checksum": lambda: _all(crc=1),
    "a record without end": lambda: zip_bytes([Member(MANIFEST, b"{}"), Member(RECORD, b'{"a":' * 100_000)]),
    "a record that is no text": lambda: zip_bytes([Member(MANIFEST, b"{}"), Member(RECORD, b"\xff\xfe")]),
}


def write_bomb(archive: Path) -> Path:
    """A megabyte; each of the files that describe an archive is BOMB_BYTES long, and is compressed."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block, blocks = bytes(2**24), BOMB_BYTES // 2**24
    # All blocks are alike, and behind a full flush the next one needs nothing of those before.
    compressed = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    content = compressed * blocks + compressor.flush()
    crc = 0
    for _ in range(blocks):
        crc = zlib.crc32(block, crc)
    members = [Member(name, content) for name in _NAMES]
    for member in members:
        member.both(method=8, crc=crc, size=BOMB_BYTES)
    archive.write_bytes(zip_bytes(members))
    return archive


def write_long_record(archive: Path, size: int) -> Path:
    """A strict zip with a record of `size` bytes or a few less, every eleven of which are a mistake of their own."""
    mistakes = b",".join(b'"%06x":1' % number for number in range((size - 20) // 11))
    archive.write_bytes(zip_bytes([Member(MANIFEST, b"{}"), Member(RECORD, b'{"files":{' + mistakes + b"}}")]))
    return archive
