"""The versions that a server starts with: its recorded ones, or its own choice. Also after TorchServe has crashed."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from adapter.archives.verification import verify_archive
from adapter.errors import TorchbridgeError
from adapter.torchserve.loading import describe_version
from adapter.versions.changes import Report, scale_workers, unregister
from adapter.versions.errors import LoadFailed, ServerBusy, VersionError
from adapter.versions.journal import Journal
from adapter.versions.model_store import ModelStore
from adapter.versions.required_key import require_key
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ModelState, ServerState, VersionState
from adapter.versions.verified_copies import expect_verified, install_verified
from adapter.versions.version_waits import wait_for_workers


def recorded_state(files: ServerFiles) -> ServerState | None:
    """The state that commands gave the server when it ran last, if they did."""
    state = ServerState.read(files.state)
    return state if state is not None and state.is_changed and state.models else None


def verify_recorded(state: ServerState, files: ServerFiles, key: Path | None) -> None:
    """Raises VersionError unless each file is the one that was verified, or VerificationError by what `key` says."""
    for model in state.models.values():
        for version in model.versions.values():
            archive = files.store / version.archive
            expect_verified(archive, version.sha256)
            if key is not None:
                verify_archive(archive, key)


def alone(archive: Path, files: ServerFiles, key: Path | None) -> ServerState:
    """A server with this archive alone: a verified copy of it, in the store."""
    record, version = install_verified(ModelStore(files.store), archive, key)
    return ServerState(models={record.name: ModelState(default=record.version, versions={record.version: version})})


def begin_anew(state: ServerState, files: ServerFiles, key: Path | None) -> None:
    """Writes the state and the key of a server that starts. What commands had begun on another state is over."""
    if state != ServerState.read(files.state):
        journal = Journal(files.journal)
        if unfinished := journal.unfinished():
            journal.end(unfinished.operation, "superseded: the server was started with other versions")
    require_key(files, key)
    state.write(files.state)


def default_archives(state: ServerState, files: ServerFiles) -> list[Path]:
    """The archives that TorchServe starts with: one of each model, so that none but its default can answer.

    Raises VersionError where one is not the file that was verified.
    """
    defaults = [model.versions[model.default] for model in state.models.values()]
    for version in defaults:
        expect_verified(files.store / version.archive, version.sha256)
    return [files.store / version.archive for version in defaults]


def restore_others(find_server: Callable[[], RunningServer], report: Report) -> None:
    """Loads the versions that are not defaults, one after the other, and starts the workers that are missing.

    A version that does not load, or whose file is no longer the verified one, is left out and reported: the others
    need not be stopped for it. LeftOutVersions tries it again.
    """
    # A command may be at work on what it found before TorchServe ended: it hears soon that it is gone.
    with find_server().locked("torchbridge serve, loading what was served", waits=True) as server:
        models = server.state.models
    for model, state in models.items():
        for version, _ in state.default_first():
            restore(server, model, version, report, waits=True)


def restore(server: RunningServer, model: str, version: str, report: Report, *, waits: bool = False) -> None:
    """Has TorchServe serve a version as it is recorded, or reports why not. `waits`: for the lock, as `locked` does.

    The lock is not held while a worker loads: it may be one that never will, and has to be retired. Raises ServerBusy.
    """
    lock = partial(server.locked, f"torchbridge serve, loading {model} {version}", waits=waits)
    deployed, is_new = _recorded(server, model, version), False
    log, timeout = server.log_of(model, version), server.settings.load_timeout
    wait = partial(wait_for_workers, server.management, model, version, log, timeout=timeout)
    try:
        with lock():
            if deployed is None or deployed != _recorded(server, model, version):
                return  # a command has changed it
            is_new = _register(server, model, version, deployed, report)
        if is_new:
            wait()
        with lock():
            is_scaled = deployed == _recorded(server, model, version) and _scale(server, model, version, deployed)
        if is_scaled:
            wait()
    except ServerBusy:
        raise
    except (VersionError, TorchbridgeError) as error:
        with lock():
            if deployed == _recorded(server, model, version):  # no command has taken it away meanwhile
                report(f"{model} {version} is left out: {error}")
                if is_new:
                    _clear(server, model, version)


def _recorded(server: RunningServer, model: str, version: str) -> VersionState | None:
    state = server.state.models.get(model)
    return state.versions.get(version) if state else None


def _register(server: RunningServer, model: str, version: str, deployed: VersionState, report: Report) -> bool:
    """Whether TorchServe did not have it, and loads it now."""
    if describe_version(server.management, model, version) is not None:
        return False
    _expect_default(server, model, version)
    expect_verified(server.store.path(deployed.archive), deployed.sha256)
    report(f"loading {model} {version}")
    try:
        server.management.register(deployed.archive)
    except (VersionError, TorchbridgeError):
        _clear(server, model, version)
        raise
    return True


def _clear(server: RunningServer, model: str, version: str) -> None:
    """Takes away what does not load, unless another one has had it load by now."""
    server.files.clear_unpacking()
    with suppress(TorchbridgeError):  # that has ended: then it has forgotten the version, too
        description = describe_version(server.management, model, version)
        if description is None or not description.ready_workers:
            unregister(server, model, version)


def _expect_default(server: RunningServer, model: str, version: str) -> None:
    """Raises LoadFailed where `version` would become the default in its place."""
    default = server.state.models[model].default
    if version != default and describe_version(server.management, model, default) is None:
        raise LoadFailed(f"{default}, the default version, is not loaded.")


def _scale(server: RunningServer, model: str, version: str, deployed: VersionState) -> bool:
    """Whether it had another number of workers than it is to have."""
    description = describe_version(server.management, model, version)
    if description is None or description.min_workers == deployed.workers:
        return False
    scale_workers(server, model, version, deployed.workers)
    return True
