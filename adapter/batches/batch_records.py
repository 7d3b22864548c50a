"""Rows of batches. A query names the caller, and finds this caller's rows only."""

from sqlite3 import Connection
from typing import NamedTuple

from adapter.batches.objects import Batch
from adapter.errors import NotFound


class OwnBatch(NamedTuple):
    """owner: the caller. output_age: seconds that its output is kept, if the caller has said so.

    idempotency_key: the caller's own name for this creation, if it gave one.
    """

    batch: Batch
    owner: str
    output_age: int | None
    idempotency_key: str | None = None


def add_batch(connection: Connection, own: OwnBatch) -> None:
    batch, owner, output_age, key = own
    connection.execute(
        "INSERT INTO batches (id, owner, input_file_id, output_age, idempotency_key, document) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (batch.id, owner, batch.input_file_id, output_age, key, batch.model_dump_json()),
    )


def put_batch(connection: Connection, batch: Batch, *, ended_at: float | None = None) -> None:
    connection.execute(
        "UPDATE batches SET document = ?, ended_at = ? WHERE id = ?",
        (batch.model_dump_json(), None if ended_at is None else int(ended_at), batch.id),
    )


def get_batch(connection: Connection, owner: str, batch_id: str) -> Batch:
    """Raises NotFound."""
    row = connection.execute("SELECT document FROM batches WHERE id = ? AND owner = ?", (batch_id, owner)).fetchone()
    if row is None:
        raise no_batch(batch_id)
    return Batch.model_validate_json(row[0])


def batch_of_key(connection: Connection, own: OwnBatch) -> OwnBatch | None:
    """The batch that its owner has made with the same key."""
    row = connection.execute(
        "SELECT id FROM batches WHERE owner = ? AND idempotency_key = ?", (own.owner, own.idempotency_key)
    ).fetchone()
    return None if row is None else own_batch(connection, row[0])


def own_batch(connection: Connection, batch_id: str) -> OwnBatch:
    """The batch with this id, which exists, whoever owns it."""
    document, *rest = connection.execute(
        "SELECT document, owner, output_age, idempotency_key FROM batches WHERE id = ?", (batch_id,)
    ).fetchone()
    return OwnBatch(Batch.model_validate_json(document), *rest)


def list_batches(connection: Connection, owner: str, *, after: str | None, limit: int) -> list[Batch]:
    """The latest first; one more than `limit`, where there are more. Raises NotFound where `after` is none."""
    start = connection.execute("SELECT seq FROM batches WHERE id = ? AND owner = ?", (after, owner)).fetchone()
    if after is not None and start is None:
        raise no_batch(after)
    rows = connection.execute(
        "SELECT document FROM batches WHERE owner = :owner AND (:start IS NULL OR seq < :start) "
        "ORDER BY seq DESC LIMIT :most",
        {"owner": owner, "start": start and start[0], "most": limit + 1},
    )
    return [Batch.model_validate_json(document) for (document,) in rows]


def live_batches(connection: Connection) -> list[str]:
    """The ids of all callers' batches that have not ended, the oldest first."""
    rows = connection.execute("SELECT id FROM batches WHERE ended_at IS NULL ORDER BY seq")
    return [batch_id for (batch_id,) in rows]


def live_batch_of(connection: Connection, input_file_id: str) -> str | None:
    """The id of a batch that still reads the file."""
    row = connection.execute(
        "SELECT id FROM batches WHERE ended_at IS NULL AND input_file_id = ? LIMIT 1", (input_file_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def delete_old_batches(connection: Connection, ended_before: float) -> None:
    connection.execute("DELETE FROM batches WHERE ended_at < ?", (ended_before,))


def no_batch(batch_id: str) -> NotFound:
    return NotFound(f"There is no batch {batch_id!r:.100}.")
