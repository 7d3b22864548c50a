"""One batch from its creation, or from where an earlier process was, to its end."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from adapter.batches.answering import FIRST_DELAY, answer_request
from adapter.batches.batch_records import OwnBatch, own_batch, put_batch
from adapter.batches.database import Database
from adapter.batches.directory import BatchDirectory
from adapter.batches.endpoints import Endpoints
from adapter.batches.file_records import add_file
from adapter.batches.objects import Batch, BatchErrors, FileObject, Status
from adapter.batches.output_files import write_errors, write_output
from adapter.batches.request_records import (
    Answer,
    Request,
    add_requests,
    delete_requests,
    keep_answer,
    pending_requests,
    with_counts,
)
from adapter.batches.validation import Validation
from adapter.errors import Overloaded
from adapter.http.shutdown import end_now

_READ_AHEAD = 100  # rows
_LONGEST_DELAY = 30.0  # seconds between two tries to write what a full disk refused

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """The parts that all batches of a gateway share. validating: one batch at a time.

    turns: to run requests, of which a batch has no more than `max_running` under way, with those that it tries again.
    """

    database: Database
    directory: BatchDirectory
    endpoints: Endpoints
    turns: asyncio.Semaphore
    max_running: int
    validating: asyncio.Lock
    max_line_bytes: int
    max_lines: int
    max_age: int
    first_delay: float = FIRST_DELAY


class BatchRun:
    def __init__(self, means: Means, batch_id: str) -> None:
        self._means = means
        self._id = batch_id
        self._limit: asyncio.Timeout | None = None  # for the answering
        self._is_cancelled = False

    def cancel(self) -> None:
        """Ends what runs of the batch. Call it after the database says so."""
        self._is_cancelled = True
        if self._limit is not None:
            end_now(self._limit)

    async def run(self) -> None:
        """Tries again whatever goes wrong, until the batch's own end."""
        delay = self._means.first_delay
        while True:
            try:
                await self._go_on()
            except Exception:  # noqa: BLE001 - a bug, too, is nothing that a batch may be lost by
                _log.exception("%s will go on in %.0f s", self._id, delay)
            else:
                return
            await asyncio.sleep(delay)
            delay = min(_LONGEST_DELAY, 2 * delay)

    async def _go_on(self) -> None:
        own = await self._means.database.run(lambda connection: own_batch(connection, self._id))
        if own.batch.status == "validating":
            own = await self._validate(own)
        if own.batch.status == "in_progress":
            await self._answer_until_the_end(own)
        if not own.batch.has_ended:
            await self._finish()

    async def _validate(self, own: OwnBatch) -> OwnBatch:
        means, batch = self._means, own.batch
        validation = Validation(
            means.endpoints, batch.endpoint, max_line_bytes=means.max_line_bytes, max_lines=means.max_lines
        )
        async with means.validating:
            await validation.look_through(means.directory.file(batch.input_file_id))
        return await means.database.run(partial(self._begin, validation))

    def _begin(self, validation: Validation, connection: sqlite3.Connection) -> OwnBatch:
        own = own_batch(connection, self._id)
        now = time.time()
        if own.batch.status != "validating":  # it was cancelled meanwhile
            return own
        if validation.errors:
            batch = own.batch.at("failed", now, errors=BatchErrors(data=validation.errors))
            put_batch(connection, batch, ended_at=now)
        else:
            batch = own.batch.at("in_progress", now, model=validation.model)
            put_batch(connection, batch)
            add_requests(connection, self._id, validation.requests)
        return own._replace(batch=batch)

    async def _answer_until_the_end(self, own: OwnBatch) -> None:
        """Returns when all requests have answers, the completion window is over, or the batch is cancelled."""
        if self._is_cancelled:
            return
        self._limit = limit = asyncio.timeout(own.batch.expires_at - time.time())
        try:
            async with limit:
                await self._answer_all(own)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._limit = None

    async def _answer_all(self, own: OwnBatch) -> None:
        room = asyncio.Semaphore(self._means.max_running)
        async with aclosing(self._pending()) as pending, asyncio.TaskGroup() as group:
            async for request in pending:
                await room.acquire()
                # Released at the end of the task: one that is cancelled before it begins runs nothing of its own.
                group.create_task(self._answer(own, request)).add_done_callback(lambda _: room.release())

    async def _pending(self) -> AsyncGenerator[Request, None]:
        line = 0
        while found := await self._means.database.run(
            partial(pending_requests, batch_id=self._id, after_line=line, most=_READ_AHEAD)
        ):
            for request in found:
                yield request
            line = found[-1].line

    async def _answer(self, own: OwnBatch, request: Request) -> None:
        means = self._means
        path = means.directory.file(own.batch.input_file_id)
        answer = await answer_request(
            means.endpoints,
            own.batch,
            own.owner,
            request,
            path,
            turns=means.turns,
            first_delay=means.first_delay,
        )
        await self._keep(request, answer)

    async def _keep(self, request: Request, answer: Answer) -> None:
        """Keeps the answer, however long the disk is full: it is not made again."""
        delay = self._means.first_delay
        while True:
            try:
                await self._means.database.run(
                    partial(keep_answer, batch_id=self._id, line=request.line, answer=answer)
                )
            except (sqlite3.OperationalError, Overloaded) as error:
                _log.warning("%s-%d will be kept in %.0f s: %s", self._id, request.line, delay, error)
            else:
                return
            await asyncio.sleep(delay)
            delay = min(_LONGEST_DELAY, 2 * delay)

    async def _finish(self) -> None:
        means = self._means
        own = await means.database.run(self._begin_finishing)
        now = int(time.time())
        expires_at = now + (means.max_age if own.output_age is None else min(own.output_age, means.max_age))
        files = {"now": now, "expires_at": expires_at}
        output = await write_output(means.database, means.directory, own.batch, **files)
        errors = await write_errors(means.database, means.directory, own.batch, **files)
        await means.database.run(partial(self._end, output, errors))

    def _begin_finishing(self, connection: sqlite3.Connection) -> OwnBatch:
        own = own_batch(connection, self._id)
        if own.batch.status != "in_progress":
            return own
        batch = own.batch.at("finalizing", time.time())
        put_batch(connection, batch)
        return own._replace(batch=batch)

    def _end(self, output: FileObject | None, errors: FileObject | None, connection: sqlite3.Connection) -> None:
        """In one transaction: keeps the files and the counts, and deletes the rows."""
        own = own_batch(connection, self._id)
        now = time.time()
        for file in filter(None, (output, errors)):
            add_file(connection, own.owner, file)
        batch = with_counts(connection, own.batch).at(
            _end_of(own.batch, has_pending=bool(_any_pending(connection, self._id))),
            now,
            output_file_id=output and output.id,
            error_file_id=errors and errors.id,
        )
        put_batch(connection, batch, ended_at=now)
        delete_requests(connection, self._id)


def _any_pending(connection: sqlite3.Connection, batch_id: str) -> list[Request]:
    return pending_requests(connection, batch_id, after_line=0, most=1)


def _end_of(batch: Batch, *, has_pending: bool) -> Status:
    if batch.status == "cancelling":
        return "cancelled"
    return "expired" if has_pending else "completed"
