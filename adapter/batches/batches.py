"""The batches of one gateway: what its routes ask for, what runs of them, and what is deleted in time."""

import asyncio
import logging
import sqlite3
import time
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import partial
from sqlite3 import Connection
from typing import Any, Self

from adapter.batches.answering import FIRST_DELAY
from adapter.batches.batch_records import (
    OwnBatch,
    add_batch,
    batch_of_key,
    delete_old_batches,
    get_batch,
    list_batches,
    live_batches,
    put_batch,
)
from adapter.batches.batch_run import BatchRun, Means
from adapter.batches.database import Database
from adapter.batches.directory import BatchDirectory
from adapter.batches.endpoints import Endpoints
from adapter.batches.file_records import all_files, delete_expired_files, get_file
from adapter.batches.objects import BATCH_INPUT, Batch, NewBatch, Page, seconds_of
from adapter.batches.request_records import with_counts
from adapter.errors import Conflict, Overloaded
from adapter.validation.request_errors import refused_field

_SECONDS_BETWEEN_CLEANUPS = 600

_log = logging.getLogger(__name__)


class Batches:
    """Open in `async with`, which raises DirectoryInUse where another gateway has the directory."""

    def __init__(
        self,
        directory: BatchDirectory,
        endpoints: Endpoints,
        *,
        max_running: int,
        max_line_bytes: int,
        max_lines: int,
        max_age: int,
        first_delay: float = FIRST_DELAY,
    ) -> None:
        self.directory = directory
        self.database = Database(directory.database)
        self._means = Means(
            self.database,
            directory,
            endpoints,
            turns=asyncio.Semaphore(max_running),
            max_running=max_running,
            validating=asyncio.Lock(),
            max_line_bytes=max_line_bytes,
            max_lines=max_lines,
            max_age=max_age,
            first_delay=first_delay,
        )
        self._runs: dict[str, BatchRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(self.directory.hold())
            await stack.enter_async_context(self.database)
            stack.push_async_callback(self._stop)
            await asyncio.to_thread(self.directory.delete_all_but, await self.database.run(all_files))
            for batch_id in await self.database.run(live_batches):
                self._start(batch_id)
            self._begin(self._clean_up())
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._open.aclose()

    async def create(self, owner: str, request: NewBatch, idempotency_key: str | None = None) -> Batch:
        """Returns the same batch again if the caller has made one with that key.

        Raises NotFound if the caller has no such file, InvalidRequest, or Conflict if another request had the key.
        """
        created_at = int(time.time())
        batch = Batch(
            id=f"batch_{uuid.uuid4().hex[:24]}",
            endpoint=request.endpoint,
            input_file_id=request.input_file_id,
            completion_window=request.completion_window,
            created_at=created_at,
            expires_at=created_at + seconds_of(request.completion_window),
            metadata=request.metadata,
        )
        expires_after = request.output_expires_after
        own = OwnBatch(batch, owner, None if expires_after is None else expires_after.seconds, idempotency_key)
        if (before := await self.database.run(partial(_add, own))) is not None:
            return before
        self._start(batch.id)
        return batch

    async def get(self, owner: str, batch_id: str) -> Batch:
        """Raises NotFound."""
        return await self.database.run(lambda connection: _counted(connection, owner, batch_id))

    async def list(self, owner: str, *, after: str | None, limit: int) -> Page[Batch]:
        """Raises NotFound where `after` is none."""

        def find(connection: Connection) -> list[Batch]:
            found = list_batches(connection, owner, after=after, limit=limit)
            return [with_counts(connection, batch) for batch in found]

        return Page[Batch].of(await self.database.run(find), limit)

    async def cancel(self, owner: str, batch_id: str) -> Batch:
        """Raises NotFound, or Conflict where there is nothing left to cancel."""
        batch = await self.database.run(lambda connection: _cancel(connection, owner, batch_id))
        if run := self._runs.get(batch_id):
            run.cancel()
        return batch

    def _start(self, batch_id: str) -> None:
        run = self._runs[batch_id] = BatchRun(self._means, batch_id)
        task = self._begin(run.run())
        task.add_done_callback(lambda _: self._runs.pop(batch_id))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop(self) -> None:
        """Leaves unanswered requests pending, for the next process."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _clean_up(self) -> None:
        while True:
            try:
                await self._delete_old()
            except (OSError, sqlite3.Error, Overloaded):  # a full disk refuses that, too
                _log.exception("old files of batches could not be deleted")
            await asyncio.sleep(_SECONDS_BETWEEN_CLEANUPS)

    async def _delete_old(self) -> None:
        now = time.time()
        for file_id in await self.database.run(partial(delete_expired_files, now=now)):
            await asyncio.to_thread(self.directory.delete, file_id)
        await self.database.run(partial(delete_old_batches, ended_before=now - self._means.max_age))


def _add(own: OwnBatch, connection: Connection) -> Batch | None:
    """Adds it in one transaction with the check for its file. Returns the one that was made before with this key."""
    if (before := batch_of_key(connection, own)) is not None:
        if _asked(before) != _asked(own):
            raise Conflict("Another batch was made with this Idempotency-Key.")
        return with_counts(connection, before.batch)
    file = get_file(connection, own.owner, own.batch.input_file_id)
    if file.purpose != BATCH_INPUT:
        raise refused_field("input_file_id", f"the file's purpose is not {BATCH_INPUT!r}")
    add_batch(connection, own)
    return None


def _asked(own: OwnBatch) -> tuple[object, ...]:
    batch = own.batch
    return batch.input_file_id, batch.endpoint, batch.completion_window, batch.metadata, own.output_age


def _counted(connection: Connection, owner: str, batch_id: str) -> Batch:
    return with_counts(connection, get_batch(connection, owner, batch_id))


def _cancel(connection: Connection, owner: str, batch_id: str) -> Batch:
    batch = get_batch(connection, owner, batch_id)
    if batch.has_ended or batch.status == "finalizing":
        raise Conflict(f"The batch is {batch.status}: there is nothing left to cancel.")
    if batch.status != "cancelling":
        batch = batch.at("cancelling", time.time())
        put_batch(connection, batch)
    return with_counts(connection, batch)
