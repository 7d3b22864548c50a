"""Rows of files. A query names the caller, and finds this caller's rows only."""

from sqlite3 import Connection

from adapter.batches.objects import FileObject
from adapter.errors import NotFound


def add_file(connection: Connection, owner: str, file: FileObject) -> None:
    connection.execute(
        "INSERT INTO files (id, owner, purpose, expires_at, document) VALUES (?, ?, ?, ?, ?)",
        (file.id, owner, file.purpose, file.expires_at, file.model_dump_json()),
    )


def get_file(connection: Connection, owner: str, file_id: str) -> FileObject:
    """Raises NotFound."""
    row = connection.execute("SELECT document FROM files WHERE id = ? AND owner = ?", (file_id, owner)).fetchone()
    if row is None:
        raise no_file(file_id)
    return FileObject.model_validate_json(row[0])


def list_files(
    connection: Connection, owner: str, *, purpose: str | None, after: str | None, limit: int, ascending: bool
) -> list[FileObject]:
    """One more than `limit`, where there are more. Raises NotFound where `after` is none."""
    start = connection.execute("SELECT seq FROM files WHERE id = ? AND owner = ?", (after, owner)).fetchone()
    if after is not None and start is None:
        raise no_file(after)
    # The parts of this statement are no text of a caller's.
    direction, beyond = ("ASC", ">") if ascending else ("DESC", "<")
    query = (
        f"SELECT document FROM files WHERE owner = :owner AND (:purpose IS NULL OR purpose = :purpose) "  # noqa: S608
        f"AND (:start IS NULL OR seq {beyond} :start) ORDER BY seq {direction} LIMIT :most"
    )
    sought = {"owner": owner, "purpose": purpose, "start": start and start[0], "most": limit + 1}
    return [FileObject.model_validate_json(document) for (document,) in connection.execute(query, sought)]


def delete_file(connection: Connection, file_id: str) -> None:
    connection.execute("DELETE FROM files WHERE id = ?", (file_id,))


def delete_expired_files(connection: Connection, now: float) -> list[str]:
    """Returns their ids. Files that a batch still reads are left."""
    rows = connection.execute(
        "DELETE FROM files WHERE expires_at <= ? AND id NOT IN "
        "(SELECT input_file_id FROM batches WHERE ended_at IS NULL) RETURNING id",
        (now,),
    )
    return [file_id for (file_id,) in rows]


def all_files(connection: Connection) -> set[str]:
    """The ids of all files."""
    return {file_id for (file_id,) in connection.execute("SELECT id FROM files")}


def no_file(file_id: str) -> NotFound:
    return NotFound(f"There is no file {file_id!r:.100}.")
