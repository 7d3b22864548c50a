"""The records of files, batches and their requests: one SQLite database, in the hands of one thread."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from adapter.errors import Overloaded

_Result = TypeVar("_Result")

# `document` is OpenAI's object as JSON. `seq` orders those of the same second.
_TABLES = """
CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    purpose TEXT NOT NULL,
    expires_at INTEGER,
    document TEXT NOT NULL
);
CREATE INDEX files_of_owner ON files (owner, seq);
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    input_file_id TEXT NOT NULL,
    output_age INTEGER,
    ended_at INTEGER,
    document TEXT NOT NULL
);
CREATE INDEX batches_of_owner ON batches (owner, seq);
CREATE INDEX live_batches ON batches (seq) WHERE ended_at IS NULL;
CREATE TABLE requests (
    batch_id TEXT NOT NULL REFERENCES batches (id),
    line INTEGER NOT NULL,
    custom_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    length INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    answer TEXT,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch_id, line)
);
CREATE INDEX requests_by_state ON requests (batch_id, state, line);
"""
_IDEMPOTENCY_KEYS = """
ALTER TABLE batches ADD COLUMN idempotency_key TEXT;
CREATE UNIQUE INDEX batches_by_idempotency_key ON batches (owner, idempotency_key);
"""
# The statements that lead to each version, from the one before it.
_STEPS = (_TABLES, _IDEMPOTENCY_KEYS)


class NewerDatabase(RuntimeError):
    """A later release has written it."""


class Database:
    """Open in `async with`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Self:
        # One thread: SQLite has one writer anyway, and each waits for the disk and not for the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._connection = await self._do(self._open)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._do(self._connection.close)
        self._thread.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Runs `work` as one transaction: when this returns all of it is on the disk; when it raises, nothing.

        Raises Overloaded where the disk is full.
        """
        return await self._do(lambda: self._transact(work))

    async def _do(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transact(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                return work(self._connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            raise Overloaded("There is no room for this now.", cause=f"{self._path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))  # its journal gets the same mode
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version > len(_STEPS):
            raise NewerDatabase(f"{self._path} was written by a newer release of Torchbridge.")
        for number, step in enumerate(_STEPS[version:], start=version + 1):
            connection.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")
