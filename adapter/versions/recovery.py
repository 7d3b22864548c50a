"""Ends what a command has left half done, before another one begins (settling.py)."""

from collections.abc import Iterator
from contextlib import contextmanager

from adapter.process.stop_signals import postponed_stop
from adapter.versions.changes import Report
from adapter.versions.running_server import RunningServer
from adapter.versions.settling import settle


@contextmanager
def changing(server: RunningServer, what: str, report: Report) -> Iterator[str | None]:
    """Holds the server's lock, after the end of what was begun before, as `recover` says it. Raises ServerBusy."""
    with server.locked(what):
        yield recover(server, report)


def recover(server: RunningServer, report: Report) -> str | None:
    """Says how it has ended what was begun; None if there was nothing. It does nothing that is new to callers."""
    unfinished = server.journal.unfinished()
    if unfinished is None:
        return None
    operation = unfinished.operation
    where = unfinished.step or "its begin"
    report(f"a {operation.kind} of {operation.model} {operation.version} was interrupted at {where}")
    with postponed_stop():
        words = settle(server, unfinished)
    report(words)
    return words
