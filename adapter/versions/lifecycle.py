"""What is done to versions that are deployed: which is the default, how many workers it has, and its end."""

from adapter.process.stop_signals import postponed_stop
from adapter.torchserve.loading import describe_version
from adapter.version_order import version_order
from adapter.versions.changes import (
    Report,
    expect_ready,
    hold_until_empty,
    record_default,
    remove,
    scale_workers,
    switch,
)
from adapter.versions.errors import ChangeRefused
from adapter.versions.journal import Operation, Step
from adapter.versions.running_server import RunningServer
from adapter.versions.server_state import ModelState, VersionState
from adapter.versions.settling import under_way
from adapter.versions.version_waits import wait_for_workers


def promote(server: RunningServer, model: str, version: str) -> None:
    """Makes a deployed version the default. Hold the server's lock, as for all here.

    Raises ChangeRefused, ModelNotReady or what TorchServe or the gateway refuse.
    """
    _change_default(server, Operation(kind="promote", model=model, version=version))


def rollback(server: RunningServer, model: str, version: str | None = None) -> str:
    """Makes the default what it was before, or `version`, and says which that is. Nothing is loaded."""
    state = server.state.models[model]
    if version is None and not state.previous:
        raise ChangeRefused(f"Nothing to roll back to: {model} {state.default} has no version before it that is kept.")
    target = version or state.previous[0]
    _change_default(server, Operation(kind="rollback", model=model, version=target))
    return target


def make_default_model(server: RunningServer, model: str) -> None:
    """Makes it the model that answers requests that name none. Raises ChangeRefused, or ModelNotReady."""
    before = server.state
    before.model(model)
    with postponed_stop():
        server.save(before.with_default_model(model))
        try:
            server.gateway.set_default_model(model)
        except BaseException:
            server.save(before)
            raise


def retire(server: RunningServer, model: str, version: str, timeout: float, *, force: bool = False) -> None:
    """Lets what runs on a version end, then takes it away; only with `force` the last one of a model.

    Raises DrainTimeout after `timeout` seconds.
    """
    state = server.state.models[model]
    archive = deployed(model, state, version).archive
    if version == state.default and len(state.versions) > 1:
        raise ChangeRefused(f"{version} is the default version of {model}: promote another one first.")
    if version == state.default and not force:
        raise ChangeRefused(f"{_what_goes_with(server, model, version)} --force takes it away all the same.")
    take_away(server, model, version, archive, timeout)


def take_away(server: RunningServer, model: str, version: str, archive: str, timeout: float) -> None:
    """Retires it without the checks of `retire`."""
    with under_way(server, Operation(kind="retire", model=model, version=version, archive=archive)):
        remove(server, model, version, archive, timeout)


def _what_goes_with(server: RunningServer, model: str, version: str) -> str:
    """Says what ends with the last version of a model."""
    last = f"{version} is the last version of {model}:"
    state = server.state
    if len(state.models) == 1:
        return f"{last} without it nothing is served."
    if state.default_model != model:
        return f"{last} without it requests for {model} are refused."
    return (
        f"{last} without it requests for {model} are refused, and those that name no model, as it is the default one: "
        "torchbridge default-model NAME chooses another one for these."
    )


def scale(server: RunningServer, model: str, version: str, workers: int, *, timeout: float, report: Report) -> None:
    """Unloads a version that is not the default (0 workers), once what runs on it has ended, or loads it again (1)."""
    state = server.state.models[model]
    deployed(model, state, version)
    if version == state.default and not workers:
        raise ChangeRefused(f"{version} is the default version of {model}: without a worker nobody would be answered.")
    operation = Operation(kind="scale", model=model, version=version, workers=workers)
    with under_way(server, operation):
        _scale(server, operation, workers, timeout, report)
        scaled = state.versions[version].model_copy(update={"workers": workers})
        server.save(server.state.with_model(model, state.with_version(version, scaled)))


def _scale(server: RunningServer, operation: Operation, workers: int, timeout: float, report: Report) -> None:
    model, version = operation.model, operation.version
    description = describe_version(server.management, model, version)
    is_fewer = description is not None and len(description.workers) > workers
    log = server.log_of(model, version)
    try:
        if is_fewer:
            report(f"waiting for what runs on {version}")
            hold_until_empty(server, model, version, timeout)
        scale_workers(server, model, version, workers)
        report(f"{'loading' if workers else 'unloading'} {version}")
        wait_for_workers(server.management, model, version, log, timeout=timeout, limit="--timeout", workers=workers)
    finally:
        server.gateway.traffic()  # from here on the gateway knows how many there are
        if is_fewer:
            server.gateway.release(model, version)


def _change_default(server: RunningServer, operation: Operation) -> None:
    model, version = operation.model, operation.version
    deployed(model, server.state.models[model], version)
    expect_ready(server, model, version)
    with under_way(server, operation) as step, postponed_stop():
        step(Step.PROMOTE)
        switch(server, model, version)
        step(Step.RECORD)
        record_default(server, model, version, server.state.models[model].versions[version])


def deployed(model: str, state: ModelState, version: str) -> VersionState:
    """The record of a deployed version. Raises ChangeRefused if it is not deployed."""
    if version not in state.versions:
        known = ", ".join(sorted(state.versions, key=version_order))
        raise ChangeRefused(f"{model} has no version {version}. Deployed: {known}.")
    return state.versions[version]
