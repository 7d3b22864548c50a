"""The files of a batch at its end, one of answers and one of errors, made of the rows."""

import uuid
from collections.abc import Callable
from functools import partial
from sqlite3 import Connection
from typing import BinaryIO, TypeAlias

from adapter.batches.answering import not_answered
from adapter.batches.database import Database
from adapter.batches.directory import BatchDirectory, NewFile
from adapter.batches.objects import BATCH_OUTPUT, Batch, FileObject
from adapter.batches.request_records import answers, pending_requests
from adapter.durable.disk_space import full_disk_in_words

_AT_ONCE = 200  # lines, in each turn of the database

_Lines: TypeAlias = list[tuple[int, str]]  # numbers and texts
_Find: TypeAlias = Callable[[Connection, int], _Lines]  # those after a number


def new_file_id() -> str:
    return f"file-{uuid.uuid4().hex}"


async def write_output(
    database: Database, directory: BatchDirectory, batch: Batch, *, now: int, expires_at: int
) -> FileObject | None:
    """None if the file would have no line. Like all here it raises OSError; DiskFull if there is no space."""
    found = (partial(_answers, batch, is_failure=False),)
    return await _write(database, directory, f"{batch.id}_output.jsonl", found, now=now, expires_at=expires_at)


async def write_errors(
    database: Database, directory: BatchDirectory, batch: Batch, *, now: int, expires_at: int
) -> FileObject | None:
    """Includes the requests that were not answered before the end."""
    found = (partial(_answers, batch, is_failure=True), partial(_unanswered, batch))
    return await _write(database, directory, f"{batch.id}_error.jsonl", found, now=now, expires_at=expires_at)


async def _write(
    database: Database, directory: BatchDirectory, name: str, found: tuple[_Find, ...], *, now: int, expires_at: int
) -> FileObject | None:
    file_id = new_file_id()
    with full_disk_in_words(name, directory.files), directory.new_file() as new:
        for find in found:
            line: int | None = 0
            while line is not None:
                line = await database.run(partial(_append, new.content, find, line))
        num_bytes = await database.run(lambda _: _keep(new, file_id))
    if not num_bytes:
        return None
    return FileObject(
        id=file_id, bytes=num_bytes, created_at=now, expires_at=expires_at, filename=name, purpose=BATCH_OUTPUT
    )


def _append(file: BinaryIO, find: _Find, after_line: int, connection: Connection) -> int | None:
    """Returns the last line that was written; None if there was none left."""
    found = find(connection, after_line)
    file.writelines(f"{text}\n".encode() for _, text in found)
    return found[-1][0] if found else None


def _keep(new: NewFile, file_id: str) -> int:
    return new.keep(file_id) if new.content.tell() else 0


def _answers(batch: Batch, connection: Connection, after_line: int, *, is_failure: bool) -> _Lines:
    return answers(connection, batch.id, is_failure=is_failure, after_line=after_line, most=_AT_ONCE)


def _unanswered(batch: Batch, connection: Connection, after_line: int) -> _Lines:
    pending = pending_requests(connection, batch.id, after_line=after_line, most=_AT_ONCE)
    return [(request.line, not_answered(batch, request)) for request in pending]
