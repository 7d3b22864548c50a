"""Ends a change that an error, a signal or a kill has cut short, by a table of what is found of it.

A change that callers already see stays, and is only written down. All else is undone. Nothing that would be new to
a caller is done here: the command can be given again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from adapter.control.client import GatewayNotRunning
from adapter.errors import ModelNotFound
from adapter.process.stop_signals import Stopped, postponed_stop
from adapter.torchserve.loading import describe_version
from adapter.torchserve.management_client import ModelDescription
from adapter.versions.changes import scale_workers, state_with_default, state_without, withdraw
from adapter.versions.journal import Operation, Step, Unfinished
from adapter.versions.running_server import RunningServer
from adapter.versions.server_state import ServerState, VersionState

_FROM_THE_SWITCH_ON = (Step.PROMOTE, Step.RECORD, Step.DRAIN, Step.RETIRE)


@dataclass(frozen=True)
class Found:
    """What there is of the version that a change is about: `default` and `description` are TorchServe's words."""

    operation: Operation
    step: Step | None
    default: str | None
    description: ModelDescription | None
    recorded: VersionState | None

    @property
    def is_default(self) -> bool:
        return self.default == self.operation.version

    @property
    def is_registered(self) -> bool:
        return self.description is not None

    @property
    def is_promoted(self) -> bool:
        """A model's first version is TorchServe's default from its registration on, before it has shown anything."""
        return self.is_default and self.step in _FROM_THE_SWITCH_ON

    @property
    def is_deployed_beside(self) -> bool:
        return self.recorded is not None and not self.operation.promotes

    @property
    def is_scaled(self) -> bool:
        """False if it has become the default since, and would be without a worker."""
        if self.description is None or self.recorded is None:
            return False
        if self.operation.workers == 0:
            return not self.description.workers and not self.is_default
        return self.description.ready_workers == self.operation.workers


@dataclass(frozen=True)
class Ending:
    """What becomes of a change: first the record of the server is changed, then the server."""

    outcome: Literal["done", "undone"]
    words: str
    record: Callable[[ServerState, Found], ServerState] = lambda state, _: state
    act: Callable[[RunningServer, Found], None] = lambda _server, _found: None


def _record_default(state: ServerState, found: Found) -> ServerState:
    operation = found.operation
    return state_with_default(state, operation.model, operation.version, found.recorded or operation.deployed)


def _record_workers(state: ServerState, found: Found) -> ServerState:
    operation = found.operation
    known = state.models[operation.model]
    scaled = known.versions[operation.version].model_copy(update={"workers": operation.workers})
    return state.with_model(operation.model, known.with_version(operation.version, scaled))


def _forget(state: ServerState, found: Found) -> ServerState:
    return state_without(state, found.operation.model, found.operation.version)


def _withdraw(server: RunningServer, found: Found) -> None:
    withdraw(server, found.operation.model, found.operation.version, found.operation.archive_file)


def _delete_archive(server: RunningServer, found: Found) -> None:
    server.store.remove(found.operation.archive_file)


def _release(server: RunningServer, found: Found) -> None:
    with suppress(GatewayNotRunning):  # it ends by itself
        server.gateway.release(found.operation.model, found.operation.version)


def _scale_back(server: RunningServer, found: Found) -> None:
    workers = 1 if found.recorded is None else found.recorded.workers
    if found.description is not None and found.description.min_workers != workers:
        scale_workers(server, found.operation.model, found.operation.version, workers)
    _release(server, found)


_IS_DEFAULT = Ending("done", "it is the default already, and that is written down", _record_default)

_Rule: TypeAlias = tuple[Callable[[Found], bool], Ending]

# For each kind of change the first rule that holds counts.
_RULES: dict[str, tuple[_Rule, ...]] = {
    "deploy": (
        (lambda found: found.is_promoted, _IS_DEFAULT),
        (lambda found: found.is_deployed_beside, Ending("done", "it is deployed beside the default")),
        (lambda found: found.recorded is not None, Ending("undone", "it stays deployed, and the default what it was")),
        (lambda _: True, Ending("undone", "what is there of it is taken away", act=_withdraw)),
    ),
    "promote": (
        (lambda found: found.is_default, _IS_DEFAULT),
        (lambda _: True, Ending("undone", "the default stays what it was")),
    ),
    "retire": (
        (lambda found: found.is_registered, Ending("undone", "it stays", act=_release)),
        (lambda _: True, Ending("done", "it is unloaded already, and its archive goes", _forget, _delete_archive)),
    ),
    "scale": (
        (lambda found: found.is_scaled, Ending("done", "its workers are what was asked for", _record_workers)),
        (lambda found: found.is_registered, Ending("undone", "its workers are what they were", act=_scale_back)),
        (lambda _: True, Ending("undone", "TorchServe does not have it")),
    ),
}
_RULES["rollback"] = _RULES["promote"]


def look(server: RunningServer, unfinished: Unfinished) -> tuple[Found, Ending]:
    """Changes nothing. Raises what TorchServe says where it cannot be asked."""
    operation = unfinished.operation
    model, version = operation.model, operation.version
    known = server.state.models.get(model)
    found = Found(
        operation=operation,
        step=unfinished.step,
        default=_default(server, model),
        description=describe_version(server.management, model, version),
        recorded=known.versions.get(version) if known else None,
    )
    return found, next(ending for holds, ending in _RULES[operation.kind] if holds(found))


def state_after(server: RunningServer) -> tuple[ServerState, str | None]:
    """The record as it is once what is unfinished has its end, and that end in words; nothing is changed."""
    unfinished = server.journal.unfinished()
    if unfinished is None:
        return server.state, None
    found, ending = look(server, unfinished)
    return ending.record(server.state, found), in_words(unfinished.operation, ending)


def settle(server: RunningServer, unfinished: Unfinished) -> str:
    """Ends the change, and says in words how. May be done again if it was cut short itself."""
    found, ending = look(server, unfinished)
    before = server.state
    after = ending.record(before, found)
    if after != before:
        server.save(after)
    ending.act(server, found)
    server.journal.end(unfinished.operation, ending.outcome)
    return in_words(unfinished.operation, ending)


def in_words(operation: Operation, ending: Ending) -> str:
    return f"the {operation.kind} of {operation.model} {operation.version} is {ending.outcome}: {ending.words}"


@contextmanager
def under_way(server: RunningServer, operation: Operation) -> Iterator[Callable[[Step], None]]:
    """Writes down its begin, its steps, and its end. Where the block fails or is stopped, the table gives it its end.

    What became of it is in a note on the error. Where even that fails it stays open, for `status` to show. Nothing
    begins unless the gateway answers, because an undo must be told to it.
    """
    server.gateway.traffic()
    is_begun = False
    try:
        server.journal.begin(operation)
        is_begun = True
        yield partial(server.journal.step, operation)
        server.journal.end(operation, "done")
    except BaseException as error:
        try:
            with postponed_stop():
                error.add_note(_settle_after_failure(server, operation, is_begun=is_begun))
        except Stopped as stopped:  # by a signal that came meanwhile: it must hide none of it
            for line in (f"it had failed: {error}", *error.__notes__):
                stopped.add_note(line)
            raise
        raise


def _settle_after_failure(server: RunningServer, operation: Operation, *, is_begun: bool) -> str:
    what = f"the {operation.kind} of {operation.model} {operation.version}"
    try:
        unfinished = server.journal.unfinished()
        if unfinished is None or unfinished.operation.id != operation.id:
            return f"{what} is done" if is_begun else f"{what} was not begun"
        return settle(server, unfinished)
    except Exception as error:  # noqa: BLE001 - it must not take the place of why the change failed
        return f"{what} has no end yet ({error}): torchbridge status shows it, and the next command ends it"


def _default(server: RunningServer, model: str) -> str | None:
    try:
        return server.management.default_version(model)
    except ModelNotFound:
        return None
