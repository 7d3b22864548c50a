"""A journal's file: one JSON object a line, each synced before its writer goes on."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from adapter.durable.disk_space import full_disk_in_words
from adapter.durable.private_directory import open_private
from adapter.durable.replacement import sync_directory


class JournalLine(BaseModel):
    """`id`: of what it is about, which may have many."""

    model_config = ConfigDict(defer_build=True)

    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    id: str


_Line = TypeVar("_Line", bound=JournalLine)


def read_lines(path: Path, kind: type[_Line]) -> list[_Line]:
    """Without a line that was being written when its writer was killed: what it says was never begun."""
    lines: list[_Line] = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            lines.append(kind.model_validate_json(line))
        except ValidationError:
            continue
    return lines


def append_line(path: Path, line: JournalLine) -> None:
    """Raises OSError; DiskFull where there is no space."""
    is_new = not path.exists()
    with full_disk_in_words("the journal", path.parent), open(path, "ab+", opener=open_private) as file:
        file.seek(-1 if file.tell() else 0, os.SEEK_END)
        torn = file.read(1) not in {b"\n", b""}
        file.write(b"\n" * torn + line.model_dump_json(exclude_none=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_directory(path.parent)
