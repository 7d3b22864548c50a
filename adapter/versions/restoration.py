"""What a server starts with: its recorded versions, or a model of its own choice. Also after TorchServe has crashed."""

from collections.abc import Callable
from pathlib import Path

from adapter.archives.archive_reader import read_record
from adapter.versions.errors import VersionError
from adapter.versions.journal import Journal
from adapter.versions.model_store import ModelStore
from adapter.versions.readiness import describe_version, wait_until_ready
from adapter.versions.running_server import RunningServer, ServerFiles
from adapter.versions.server_state import ModelState, ServerState, VersionState

_LOAD_TIMEOUT = 900  # seconds


def recorded_state(files: ServerFiles) -> ServerState | None:
    """What commands have made of the server when it ran last, if they did."""
    state = ServerState.read(files.state)
    return state if state is not None and state.is_changed and state.models else None


def state_of(archive: Path) -> ServerState:
    """A server with this archive alone."""
    record = read_record(archive)
    version = VersionState(archive=archive.name, digest=record.digest)
    return ServerState(models={record.name: ModelState(default=record.version, versions={record.version: version})})


def begin_anew(state: ServerState, files: ServerFiles) -> None:
    """Writes the state of a server that starts. What commands had begun on another state is over."""
    if state != ServerState.read(files.state):
        journal = Journal(files.journal)
        if unfinished := journal.unfinished():
            journal.end(unfinished.operation, "superseded: the server was started with other versions")
    state.write(files.state)


def install(archive: Path, files: ServerFiles) -> Path:
    """The archive's copy in the store, under the name that its record gives it."""
    record = read_record(archive)
    installed = files.store / record.file_name
    if not installed.exists() or not installed.samefile(archive):
        store = ModelStore(files.store)
        store.install(store.stage(archive, installed.name))
    return installed


def default_archives(state: ServerState, files: ServerFiles) -> list[Path]:
    """What TorchServe is started with: one archive of each model, so that none but its default can be meant."""
    archives = [files.store / model.versions[model.default].archive for model in state.models.values()]
    missing = [str(archive) for archive in archives if not archive.exists()]
    if missing:
        raise VersionError(f"{', '.join(missing)} is missing: torchbridge serve --model starts with another model.")
    return archives


def restore_others(run_directory: Path, report: Callable[[str], None]) -> None:
    """Loads the versions that are not defaults, one after the other, and starts the workers that are missing."""
    # A command may be at work on what it found before TorchServe ended: it hears soon that it is gone.
    with RunningServer(run_directory).locked("torchbridge serve, loading what was served", waits=True) as server:
        for model, state in server.state.models.items():
            for version, deployed in state.versions.items():
                _restore(server, model, version, deployed, report)


def _restore(
    server: RunningServer, model: str, version: str, deployed: VersionState, report: Callable[[str], None]
) -> None:
    log = server.log_of(model, version)
    description = describe_version(server.management, model, version)
    if description is None:
        report(f"loading {model} {version}")
        server.management.register(deployed.archive)
        wait_until_ready(server.management, model, version, log, timeout=_LOAD_TIMEOUT)
        description = describe_version(server.management, model, version)
    if description is not None and description.min_workers != deployed.workers:
        server.management.scale(model, version, deployed.workers)
        wait_until_ready(server.management, model, version, log, timeout=_LOAD_TIMEOUT, workers=deployed.workers)
