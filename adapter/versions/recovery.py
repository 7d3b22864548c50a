"""Ends what a killed command left half done, before the next one begins: forward from the switch on, else back."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from adapter.versions.changes import Report, is_registered
from adapter.versions.deployment import finish, undo
from adapter.versions.errors import DrainTimeout, VersionError
from adapter.versions.journal import Operation, Step
from adapter.versions.lifecycle import finish_change, finish_retirement, finish_scale
from adapter.versions.running_server import RunningServer

_FROM_THE_SWITCH_ON = (Step.PROMOTE, Step.RECORD, Step.DRAIN, Step.RETIRE)
_TIMEOUT = 600  # seconds, for a drain and for a load each


@contextmanager
def changing(server: RunningServer, what: str, report: Report) -> Iterator[None]:
    """Holds the server's lock, and whatever was begun before has an end. Raises ServerBusy."""
    with server.locked(what):
        recover(server, report)
        yield


def recover(server: RunningServer, report: Report) -> None:
    unfinished = server.journal.unfinished()
    if unfinished is None:
        return
    operation, step = unfinished
    report(f"a {operation.kind} of {operation.model} {operation.version} was interrupted at {step or 'its begin'}")
    is_there = is_registered(server, operation.model, operation.version)
    match operation.kind:
        case "deploy" if is_there and operation.promotes and step in _FROM_THE_SWITCH_ON:
            finish(server, operation, report, _TIMEOUT)
        case "deploy" if _is_recorded(server, operation):
            server.journal.end(operation, "done")
        case "deploy":
            undo(server, operation, "undone")
        case "promote" | "rollback" if is_there and step is not None:
            finish_change(server, operation)
        case "retire" | "scale" if _would_leave_nobody(server, operation):
            server.journal.end(operation, "undone")
        case "retire":
            with suppress(DrainTimeout):  # it stays, and the next command need not wait for it
                finish_retirement(server, operation, _TIMEOUT)
        case "scale" if is_there:
            with suppress(VersionError):  # it stays as it was
                finish_scale(server, operation, _TIMEOUT, report)
        case _:
            server.journal.end(operation, "undone")


def _would_leave_nobody(server: RunningServer, operation: Operation) -> bool:
    """Whether it is of what has become the default since, by a hand that does not write the journal."""
    known = server.state.models.get(operation.model)
    if known is None or known.default != operation.version:
        return False
    return len(known.versions) > 1 if operation.kind == "retire" else not operation.workers


def _is_recorded(server: RunningServer, operation: Operation) -> bool:
    known = server.state.models.get(operation.model)
    return known is not None and operation.version in known.versions
