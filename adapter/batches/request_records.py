"""Rows of a batch's requests: each is pending until it has its one answer."""

from collections.abc import Iterable
from sqlite3 import Connection
from typing import NamedTuple

from adapter.batches.objects import Batch, RequestCounts, Usage


class Request(NamedTuple):
    """line: from 1. position, length: of the line in the input file, in bytes."""

    line: int
    custom_id: str
    position: int
    length: int


class Answer(NamedTuple):
    """text: the line of the output file, or of the file of errors where it has failed."""

    text: str
    is_failure: bool = False
    input_tokens: int = 0
    output_tokens: int = 0


def add_requests(connection: Connection, batch_id: str, requests: Iterable[Request]) -> None:
    connection.executemany(
        "INSERT INTO requests (batch_id, line, custom_id, position, length) VALUES (?, ?, ?, ?, ?)",
        ((batch_id, *request) for request in requests),
    )


def pending_requests(connection: Connection, batch_id: str, *, after_line: int, most: int) -> list[Request]:
    rows = connection.execute(
        "SELECT line, custom_id, position, length FROM requests "
        "WHERE batch_id = ? AND state = 'pending' AND line > ? ORDER BY line LIMIT ?",
        (batch_id, after_line, most),
    )
    return [Request(*row) for row in rows]


def keep_answer(connection: Connection, batch_id: str, line: int, answer: Answer) -> bool:
    """Keeps it if it is the first answer. Returns whether it is: there is never a second."""
    kept = connection.execute(
        "UPDATE requests SET state = ?, answer = ?, input_tokens = ?, output_tokens = ? "
        "WHERE batch_id = ? AND line = ? AND state = 'pending'",
        (
            "failed" if answer.is_failure else "completed",
            answer.text,
            answer.input_tokens,
            answer.output_tokens,
            batch_id,
            line,
        ),
    )
    return kept.rowcount == 1


def answers(
    connection: Connection, batch_id: str, *, is_failure: bool, after_line: int, most: int
) -> list[tuple[int, str]]:
    """Lines and texts, in the order of the lines."""
    return connection.execute(
        "SELECT line, answer FROM requests WHERE batch_id = ? AND state = ? AND line > ? ORDER BY line LIMIT ?",
        (batch_id, "failed" if is_failure else "completed", after_line, most),
    ).fetchall()


def with_counts(connection: Connection, batch: Batch) -> Batch:
    """The batch with its counts so far. At its end it has them itself, and the rows are gone."""
    if batch.has_ended:
        return batch
    states = dict(
        connection.execute("SELECT state, count(*) FROM requests WHERE batch_id = ? GROUP BY state", (batch.id,))
    )
    [tokens] = connection.execute(
        "SELECT total(input_tokens), total(output_tokens) FROM requests WHERE batch_id = ?", (batch.id,)
    )
    counts = RequestCounts(
        total=sum(states.values()), completed=states.get("completed", 0), failed=states.get("failed", 0)
    )
    return batch.model_copy(update={"request_counts": counts, "usage": Usage.of(*map(int, tokens))})


def delete_requests(connection: Connection, batch_id: str) -> None:
    connection.execute("DELETE FROM requests WHERE batch_id = ?", (batch_id,))
