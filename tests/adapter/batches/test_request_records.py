import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from adapter.batches.batch_records import OwnBatch, add_batch, get_batch
from adapter.batches.database import Database
from adapter.batches.objects import Batch
from adapter.batches.request_records import (
    Answer,
    Request,
    add_requests,
    answers,
    keep_answer,
    pending_requests,
    with_counts,
)

BATCH = Batch(
    id="batch_1",
    endpoint="/v1/completions",
    input_file_id="file-1",
    completion_window="1h",
    created_at=0,
    expires_at=3_600,
    status="in_progress",
)
REQUESTS = [Request(line, f"id-{line}", position=0, length=1) for line in (1, 2, 5)]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "batches.sqlite") as database:
        await database.run(partial(add_batch, own=OwnBatch(BATCH, "ann", None)))
        await database.run(partial(add_requests, batch_id=BATCH.id, requests=REQUESTS))
        yield database


async def keep(database: Database, line: int, text: str) -> bool:
    return await database.run(partial(keep_answer, batch_id=BATCH.id, line=line, answer=Answer(text, input_tokens=3)))


async def test_the_first_answer_stays(database: Database) -> None:
    assert [await keep(database, 2, text) for text in ("first", "second")] == [True, False]
    found = await database.run(partial(answers, batch_id=BATCH.id, is_failure=False, after_line=0, most=9))
    assert found == [(2, "first")]


async def test_what_has_an_answer_is_not_pending(database: Database) -> None:
    await keep(database, 2, "answer")
    pending = await database.run(partial(pending_requests, batch_id=BATCH.id, after_line=0, most=9))
    assert [request.line for request in pending] == [1, 5]
    counted = await database.run(lambda connection: with_counts(connection, get_batch(connection, "ann", BATCH.id)))
    assert (counted.request_counts.total, counted.request_counts.completed) == (3, 1)
    assert counted.usage is not None
    assert counted.usage.input_tokens == 3


async def test_what_raises_has_changed_nothing(database: Database) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        keep_answer(connection, BATCH.id, 1, Answer("lost"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.run(fail)
    assert await keep(database, 1, "answer")
