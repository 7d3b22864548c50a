"""What a command is about to do, on the disk before it does it: one JSON object a line, synced.

A command that was killed leaves an operation without an end. The next one finds it here and ends it (settling.py).
"""

import uuid
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from adapter.archives.archive_names import archive_file_name
from adapter.durable.json_lines import JournalLine, append_line, read_lines
from adapter.versions.server_state import VersionState

_MOST_BYTES = 2**20  # then a new file begins; the one before is kept


class Step(StrEnum):
    """In their order. Up to PROBE the default version is the one of before, and all can be undone."""

    COPY = "copy"
    VERIFY = "verify"
    REGISTER = "register"
    LOAD = "load"
    WARM_UP = "warm-up"
    PROBE = "probe"
    PROMOTE = "promote"
    RECORD = "record"
    DRAIN = "drain"
    RETIRE = "retire"


class Operation(BaseModel):
    """One command's change of one version."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(default_factory=lambda: uuid.uuid4().hex[:12])
    kind: Literal["deploy", "promote", "rollback", "retire", "scale"]
    model: str
    version: str
    archive: str | None = None
    digest: str | None = None
    sha256: str | None = None
    workers: int | None = None
    promotes: bool = True
    keep: int | None = None

    @property
    def archive_file(self) -> str:
        """The name of its archive in the store."""
        return self.archive or archive_file_name(self.model, self.version)

    @property
    def deployed(self) -> VersionState:
        """The version as its deployment has verified it: nothing is read from the store later."""
        return VersionState.model_validate({"archive": self.archive_file, "digest": self.digest, "sha256": self.sha256})


class _Line(JournalLine):
    begin: Operation | None = None
    step: Step | None = None
    end: str | None = None


class Unfinished(NamedTuple):
    """`since`: when its last step was begun."""

    operation: Operation
    step: Step | None
    since: datetime


class Journal:
    """Hold the server's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, operation: Operation) -> None:
        if self._path.exists() and self._path.stat().st_size > _MOST_BYTES:
            self._path.replace(self._path.with_suffix(".1.jsonl"))
        self._write(_Line(id=operation.id, begin=operation))

    def step(self, operation: Operation, step: Step) -> None:
        self._write(_Line(id=operation.id, step=step))

    def end(self, operation: Operation, outcome: str) -> None:
        self._write(_Line(id=operation.id, end=outcome))

    def unfinished(self) -> Unfinished | None:
        """The last operation, if it has no end, and the last step that it was about to take."""
        found: Unfinished | None = None
        for line in read_lines(self._path, _Line):
            if line.begin is not None:
                found = Unfinished(line.begin, None, line.at)
            elif found is not None and line.id == found.operation.id:
                found = None if line.end is not None else Unfinished(found.operation, line.step, line.at)
        return found

    def _write(self, line: _Line) -> None:
        append_line(self._path, line)
