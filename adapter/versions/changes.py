"""The single changes that commands are made of. Each may be made again after it was half made."""

import time
from collections.abc import Callable
from contextlib import suppress

from adapter.control.client import GatewayNotRunning
from adapter.control.messages import HOLD_SECONDS, VersionTraffic
from adapter.errors import ModelNotFound, ModelNotReady, UpstreamProtocol, VersionNotFound
from adapter.process.stop_signals import postponed_stop
from adapter.torchserve.loading import describe_version
from adapter.versions.errors import DrainTimeout
from adapter.versions.running_server import RunningServer
from adapter.versions.server_state import ModelState, ServerState, VersionState

Report = Callable[[str], None]

_SECONDS_BETWEEN_LOOKS = 0.25


def switch(server: RunningServer, model: str, version: str) -> None:
    """When this returns no request that begins is given to another default version.

    The state is written last: what a crash leaves is one default or the other, and both have workers.
    """
    server.management.set_default(model, version)
    default = server.gateway.traffic().default_version(model)
    if default != version:
        raise UpstreamProtocol("The gateway does not see the new default version.", cause=f"{model}: {default}")


def record_default(server: RunningServer, model: str, version: str, deployed: VersionState) -> None:
    """Writes down that `version` is deployed and the default."""
    server.save(state_with_default(server.state, model, version, deployed))


def state_with_default(state: ServerState, model: str, version: str, deployed: VersionState) -> ServerState:
    before = state.models.get(model)
    if before is None:
        return state.with_model(model, ModelState(default=version, versions={version: deployed}))
    known = before if version in before.versions else before.with_version(version, deployed)
    return state.with_model(model, known.with_default(version))


def state_without(state: ServerState, model: str, version: str) -> ServerState:
    known = state.models.get(model)
    if known is None or version not in known.versions:
        return state
    rest = known.without(version)
    return state.with_model(model, rest if rest.versions else None)


def record_version(server: RunningServer, model: str, version: str, deployed: VersionState) -> None:
    """Writes down that `version` is deployed, beside the default."""
    state = server.state
    before = state.models.get(model, ModelState(default=version, versions={}))
    server.save(state.with_model(model, before.with_version(version, deployed)))


def wait_until_left(server: RunningServer, model: str, version: str, since: float, timeout: float) -> bool:
    """Whether all requests that had begun on this version at `since` (time.monotonic()) have ended in time."""
    deadline = time.monotonic() + timeout
    while True:
        elapsed = time.monotonic() - since  # before the question, so that no older request passes for a younger one
        traffic = server.gateway.traffic().of(model, version)
        if traffic is None or traffic.oldest_live_seconds is None or traffic.oldest_live_seconds < elapsed:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def hold_until_empty(server: RunningServer, model: str, version: str, timeout: float) -> None:
    """When this returns nothing runs or waits on this version, and nothing new is let through for HOLD_SECONDS.

    Raises DrainTimeout; after that, as after any other failure, all goes on as before.
    """
    try:
        _hold_until_empty(server, model, version, time.monotonic() + timeout, timeout)
    except BaseException:
        with suppress(GatewayNotRunning):
            server.gateway.release(model, version)
        raise


def _hold_until_empty(server: RunningServer, model: str, version: str, deadline: float, timeout: float) -> None:
    while True:
        server.gateway.hold(model, version)
        traffic = server.gateway.traffic().of(model, version)
        if traffic is None or (_is_empty(traffic) and _queue_length(server, model, version) == 0):
            server.gateway.hold(model, version)
            return
        if time.monotonic() >= deadline:
            raise DrainTimeout(
                f"{traffic.live_requests} requests still run on {model} {version} after {timeout:g} seconds: "
                "it stays as it is."
            )
        time.sleep(min(_SECONDS_BETWEEN_LOOKS, HOLD_SECONDS / 4))


def remove(server: RunningServer, model: str, version: str, archive: str, timeout: float) -> None:
    """Drains a version that is not the default, unregisters it and deletes its archive."""
    hold_until_empty(server, model, version, timeout)
    with postponed_stop():
        try:
            unregister(server, model, version)
            server.gateway.traffic()  # from here on the gateway knows that it is gone
        finally:
            server.gateway.release(model, version)
        server.save(state_without(server.state, model, version))
        server.store.remove(archive)


def withdraw(server: RunningServer, model: str, version: str, archive: str) -> None:
    """Takes away what never became the default, as if it had not been there."""
    server.store.clear_staging()
    server.files.clear_unpacking()
    try:
        unregister(server, model, version)
    finally:
        state = server.state.models.get(model)
        if state is None or archive not in {each.archive for each in state.versions.values()}:
            server.store.remove(archive)


def expect_ready(server: RunningServer, model: str, version: str) -> None:
    """Raises ModelNotReady where no worker of it would answer. TorchServe makes such a version the default, too."""
    description = describe_version(server.management, model, version)
    if description is not None and not description.min_workers:
        raise ModelNotReady(f"{model} {version} is unloaded: torchbridge scale {version} --workers 1 loads it.")
    if description is None or not description.ready_workers:
        raise ModelNotReady(f"{model} {version} has no worker that is ready: it would answer nobody.")


def is_registered(server: RunningServer, model: str, version: str) -> bool:
    return describe_version(server.management, model, version) is not None


def scale_workers(server: RunningServer, model: str, version: str, workers: int) -> None:
    """It does not wait until they are ready, or gone."""
    try:
        server.management.scale(model, version, workers)
    except UpstreamProtocol:
        # As in `unregister`: also where a worker has the request of a caller who has just left.
        description = describe_version(server.management, model, version)
        if description is None or (description.min_workers, len(description.workers)) != (workers, workers):
            raise


def unregister(server: RunningServer, model: str, version: str) -> None:
    if not is_registered(server, model, version):
        return
    try:
        with suppress(VersionNotFound, ModelNotFound):  # TorchServe may have done it between the two
            server.management.unregister(model, version)
    except UpstreamProtocol:
        # Where a worker has just begun to load, TorchServe forgets the version first and then fails on a job that is
        # not there (a NullPointerException in BatchAggregator.java:165).
        if is_registered(server, model, version):
            raise


def _is_empty(traffic: VersionTraffic) -> bool:
    return not (traffic.live_requests or traffic.running_requests or traffic.waiting_requests)


def _queue_length(server: RunningServer, model: str, version: str) -> int:
    """What waits in TorchServe. Without a worker nothing takes it, and no caller waits for it any more."""
    description = describe_version(server.management, model, version)
    return description.job_queue_status.pending_requests if description and description.ready_workers else 0
