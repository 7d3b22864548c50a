"""An archive after a hand that knows the format: its zip is strict, and its record says just what it holds."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adapter.archives.archive_reader import read_record
from tests.adapter.archives.crafted_zip import Member, members_of, zip_bytes

RECORD = "MAR-INF/RECORD.json"

Contents = dict[str, bytes]


def contents_of(archive: Path) -> Contents:
    return {member.name.decode(): member.content for member in members_of(archive)}


def write_contents(archive: Path, contents: Mapping[str, bytes]) -> None:
    archive.write_bytes(zip_bytes([Member(name.encode(), content) for name, content in sorted(contents.items())]))


def repack(archive: Path, change: Callable[[Contents], object]) -> None:
    """Makes the change, and then the record's list of the files true again."""
    contents = contents_of(archive)
    change(contents)
    if RECORD in contents:
        edit_record(contents, lambda record: record.update(files=_files(contents)))
    write_contents(archive, contents)


def damage(archive: Path) -> None:
    """One bit of the weights: the record still says what was packed."""
    content, record = bytearray(archive.read_bytes()), read_record(archive)
    header = content.rindex(b"data_offsets")
    content[content.index(b"}}", header) + 2] ^= 1
    archive.write_bytes(content)
    assert read_record(archive) == record


def put(name: str, content: bytes) -> Callable[[Contents], object]:
    return lambda contents: contents.update({name: content})


def drop(name: str) -> Callable[[Contents], object]:
    return lambda contents: contents.pop(name)


def edit_record(contents: Contents, edit: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(contents[RECORD])
    edit(record)
    contents[RECORD] = json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _files(contents: Contents) -> dict[str, Any]:
    return {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
        if name != RECORD
    }
