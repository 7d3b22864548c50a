"""Whether the server of a run directory is well: its files, its versions, its workers, its logs."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from adapter.archives.verification import VerificationError
from adapter.compilation import Compilation, CompilationState
from adapter.control.client import ControlClient, GatewayNotRunning, without_socket
from adapter.control.messages import control_socket
from adapter.doctor.finding import Finding, Scene, warning, wrong
from adapter.durable.lock import is_held
from adapter.durable.private_directory import NotPrivate, check_private
from adapter.errors import TorchbridgeError
from adapter.torchserve.run_directory import RunDirectory, RunDirectoryError
from adapter.torchserve.worker_log import NOT_STARTED, REFUSAL, TOO_SLOW
from adapter.versions.errors import VersionError
from adapter.versions.journal import Journal
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState
from adapter.versions.verified_copies import expect_verified

_LOG_TAIL = 2**20  # bytes
# Lines of a log, what each means, and what to do. The last line of each kind is shown.
_KNOWN_LINES = (
    (
        re.compile(r"java\.lang\.OutOfMemoryError.*"),
        "TorchServe ran out of memory of Java's.",
        "Set vmargs=-Xmx1g, or more, in the file of --torchserve-config.",
    ),
    (re.compile(f"{REFUSAL}.*"), "A worker could not load its model.", None),
    (
        re.compile(f".*{TOO_SLOW}"),
        "A worker did not load or answer in time.",
        "Free the processor or the disk, or pack the model with a larger startupTimeout or responseTimeout.",
    ),
    (re.compile(f".*{NOT_STARTED}"), "A worker did not start within two minutes.", "Free the processor or the disk."),
    (
        re.compile(r"Fatal Python error: .*"),
        "A worker crashed.",
        "Report it, with model_log.log; `serve --no-compile` does without compiled steps.",
    ),
    (re.compile(r".*No space left on device.*"), "A disk was full.", "Make space, and then torchbridge recover."),
    (
        re.compile(r".*Too many open files.*"),
        "Files ran out.",
        "Raise the limit: ulimit -n, or LimitNOFILE of the service.",
    ),
)


def is_served(run_directory: Path) -> bool:
    return ControlClient(control_socket(run_directory)).is_answered()


def check_run_directory(scene: Scene) -> Iterator[Finding]:
    path = scene.run_directory
    try:
        RunDirectory(path).check_length()
    except RunDirectoryError as error:
        yield wrong(str(error), "Choose another one with TORCHBRIDGE_RUN_DIRECTORY.")
    if not path.exists():
        return
    try:
        check_private(path)
    except NotPrivate as error:
        yield wrong(str(error))
        return
    if not os.access(path, os.W_OK):
        yield wrong(f"{path} cannot be written.", "Choose another one with TORCHBRIDGE_RUN_DIRECTORY.")


def check_versions(scene: Scene) -> Iterator[Finding]:
    """Whether each archive that is to be served is the one that was verified."""
    files = ServerFiles(scene.run_directory)
    try:
        state = _state(scene)
    except VersionError as error:
        yield wrong(str(error))
        return
    for model in state.models.values():
        for version in model.versions.values():
            try:
                expect_verified(files.store / version.archive, version.sha256)
            except (VersionError, VerificationError, OSError) as error:
                yield wrong(str(error), "While it is served, torchbridge deploy FILE.mar does it, too.")


def check_changes(scene: Scene) -> Iterator[Finding]:
    files = ServerFiles(scene.run_directory)
    unfinished = Journal(files.journal).unfinished()
    if unfinished is not None and not files.is_held():
        operation = unfinished.operation
        yield warning(
            f"The {operation.kind} of {operation.model} {operation.version} was interrupted at "
            f"{unfinished.step or 'its begin'}.",
            "torchbridge recover" if is_served(scene.run_directory) else "torchbridge serve, which ends it.",
        )


def _state(scene: Scene) -> ServerState:
    return ServerState.read(ServerFiles(scene.run_directory).state) or ServerState()


def check_gateway(scene: Scene) -> Iterator[Finding]:
    directory = RunDirectory(scene.run_directory)
    if not is_served(scene.run_directory):
        if is_held(directory.lock_file):
            yield warning(without_socket(control_socket(directory.path)))
        elif directory.key_file.exists():
            yield warning(
                f"The server in {directory.path} ended without clearing up.", "torchbridge serve starts it again."
            )
        return
    try:
        report = ControlClient(control_socket(scene.run_directory)).traffic()
        state = _state(scene)
    except VersionError:  # check_versions says it
        return
    except (GatewayNotRunning, TorchbridgeError) as error:
        yield wrong(f"The gateway in {directory.path} does not answer: {error}", f"Look into {directory.logs}.")
        return
    for name, model in state.models.items():
        for version, deployed in model.versions.items():
            traffic = report.of(name, version)
            if deployed.workers == 0 or (traffic and traffic.ready_workers):
                continue
            what = f"{name} {version} has no worker that is ready."
            look = f"Look into {directory.worker_log}"
            if version == model.default:
                yield wrong(what, f"{look}; torchbridge rollback goes back to the version before.")
            else:
                yield warning(what, f"{look}; torchbridge retire {version} gives it up.")


def check_compilations(scene: Scene) -> Iterator[Finding]:
    files = ServerFiles(scene.run_directory)
    try:
        state = _state(scene)
    except VersionError:
        return  # check_versions says it
    # What a worker wrote stays when its version is retired, or another model is served.
    for model, version in ((name, each) for name in sorted(state.models) for each in state.models[name].versions):
        compilation = Compilation.read(files.compilations, model, version)
        if compilation is not None and compilation.state is CompilationState.NOT_COMPILED:
            yield warning(
                f"The steps of {model} {version} are not compiled: {compilation.reason}.",
                "Answers are right, and take up to twice as long.",
            )


def check_logs(scene: Scene) -> Iterator[Finding]:
    """The logs of this start; those of an earlier one lie elsewhere."""
    logs = sorted(RunDirectory(scene.run_directory).logs.glob("*"))
    text = "\n".join(_tail(log) for log in logs if log.is_file())
    for pattern, what, remedy in _KNOWN_LINES:
        if found := pattern.findall(text):
            yield warning(f"{what} The log says: {found[-1].strip()}", remedy)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - _LOG_TAIL, 0))
        return file.read().decode(errors="replace")
