"""The versions that a server starts with: its recorded ones, or its own choice. Also after TorchServe has crashed."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from adapter.archives.verification import verify_archive
from adapter.errors import TorchbridgeError
from adapter.torchserve.loading import describe_version
from adapter.versions.changes import Report, unregister
from adapter.versions.errors import LoadFailed, VersionError
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
        for model, state in server.state.models.items():
            for version, deployed in state.default_first():
                restore(server, model, version, deployed, report)


def restore(server: RunningServer, model: str, version: str, deployed: VersionState, report: Report) -> None:
    """Has TorchServe serve a version as it is recorded, or reports why not. Hold the server's lock."""
    try:
        if describe_version(server.management, model, version) is None:
            _expect_default(server, model, version)
            _load(server, model, version, deployed, report)
        _scale_as_recorded(server, model, version, deployed)
    except (VersionError, TorchbridgeError) as error:
        report(f"{model} {version} is left out: {error}")


def _expect_default(server: RunningServer, model: str, version: str) -> None:
    """Raises LoadFailed where `version` would become the default in its place."""
    default = server.state.models[model].default
    if version != default and describe_version(server.management, model, default) is None:
        raise LoadFailed(f"{default}, the default version, is not loaded.")


def _load(server: RunningServer, model: str, version: str, deployed: VersionState, report: Report) -> None:
    log, timeout = server.log_of(model, version), server.settings.load_timeout
    expect_verified(server.store.path(deployed.archive), deployed.sha256)
    report(f"loading {model} {version}")
    try:
        server.management.register(deployed.archive)
        wait_for_workers(server.management, model, version, log, timeout=timeout)
    except (VersionError, TorchbridgeError):
        server.files.clear_unpacking()
        with suppress(TorchbridgeError):  # that has ended: then it has forgotten the version, too
            unregister(server, model, version)
        raise


def _scale_as_recorded(server: RunningServer, model: str, version: str, deployed: VersionState) -> None:
    log, timeout = server.log_of(model, version), server.settings.load_timeout
    description = describe_version(server.management, model, version)
    if description is not None and description.min_workers != deployed.workers:
        server.management.scale(model, version, deployed.workers)
        wait_for_workers(server.management, model, version, log, timeout=timeout, workers=deployed.workers)
