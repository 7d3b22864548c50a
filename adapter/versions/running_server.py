"""One `torchbridge serve` on this machine, found by its run directory: its files, and the clients to ask it with."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from adapter.control.client import ControlClient
from adapter.control.messages import control_socket
from adapter.durable.private_directory import claim_directory, open_private
from adapter.settings import Settings
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient
from adapter.torchserve.properties import read_properties
from adapter.torchserve.run_directory import RunDirectory
from adapter.torchserve.worker_log import WorkerLog
from adapter.validation.settings_file import read_settings
from adapter.versions.errors import ServerBusy, ServerNotRunning
from adapter.versions.journal import Journal
from adapter.versions.model_store import ModelStore
from adapter.versions.server_state import ServerState

_PROCESS = re.compile(r"\(process (\d+)\)\n\Z")


@dataclass(frozen=True)
class ServerFiles:
    """The files of a server that outlive it."""

    run_directory: Path

    @property
    def store(self) -> Path:
        return self.run_directory / "model_store"

    @property
    def pulled(self) -> Path:
        """Where archives from a registry lie until they are in the store (pulled_archives.py)."""
        return self.run_directory / "pulled"

    @property
    def state(self) -> Path:
        return self.run_directory / "versions.json"

    @property
    def journal(self) -> Path:
        return self.run_directory / "journal.jsonl"

    @property
    def canaries(self) -> Path:
        """The last one of each model that the server has watched (canary_record.py)."""
        return self.run_directory / "canaries.json"

    @property
    def followed(self) -> Path:
        """How far the server is with the file that it follows, if it does (follow_record.py)."""
        return self.run_directory / "followed.json"

    @property
    def lock(self) -> Path:
        return self.run_directory / "versions.lock"

    @property
    def unpacked(self) -> Path:
        """Where TorchServe unpacks archives (RunDirectory.environment)."""
        return self.run_directory / "tmp"

    @property
    def compilations(self) -> Path:
        """Where workers write how far they are with their compiled steps (RunDirectory.environment)."""
        return self.run_directory / "compilations"

    def clear_unpacking(self) -> None:
        """What TorchServe has left half unpacked, as on a full disk (ZipUtils.java, unzip). Hold the lock."""
        for directory in self.unpacked.glob("models*.download"):
            shutil.rmtree(directory, ignore_errors=True)

    @property
    def public_key(self) -> Path:
        """The key that must have signed what the server loads, if it was started with one (required_key.py)."""
        return self.run_directory / "required_key.pub"

    @contextlib.contextmanager
    def locked(self, what: str, *, waits: bool = False) -> Iterator[None]:
        """Keeps others from changing what is here. Unless it waits it raises ServerBusy, which says who does.

        The lock ends with the process, however it ends.
        """
        with open(self.lock, "a+", encoding="utf-8", opener=open_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ServerBusy(f"{_holder(file.read(), self.lock)}.") from None
            file.truncate(0)
            with contextlib.suppress(OSError):  # of a full disk: then it is held without a word
                os.write(file.fileno(), f"{what} (process {os.getpid()})\n".encode())
            try:
                yield
            finally:
                file.truncate(0)

    def is_held(self) -> bool:
        """Whether a command is changing what is here. It takes no lock, which might be in another one's way."""
        return self.lock.exists() and _is_there(self.lock.read_text(encoding="utf-8"), self.lock)


class RunningServer:
    """settings: what the server runs with, where it is that of this process. A command reads its own environment."""

    def __init__(self, run_directory: Path, settings: Settings | None = None) -> None:
        self.files = ServerFiles(run_directory.resolve())
        directory = RunDirectory(run_directory)
        if not directory.key_file.exists() or not directory.config.exists():
            raise ServerNotRunning(f"No server runs in {directory.path}: torchbridge serve starts one.")
        claim_directory(directory.path)
        properties = read_properties(directory.config)
        self.worker_log = directory.worker_log
        self.keys = KeyFile(directory.key_file, properties["management_address"])
        self.settings = settings or read_settings(
            None,
            torchserve_url=properties["inference_address"],
            management_url=properties["management_address"],
            key_file=directory.key_file,
        )
        self.management = ManagementClient(self.settings.management_url, self.keys)
        self.gateway = ControlClient(control_socket(run_directory))
        self.store = ModelStore(self.files.store)
        self.journal = Journal(self.files.journal)

    @property
    def state(self) -> ServerState:
        state = ServerState.read(self.files.state)
        if state is None:
            raise ServerNotRunning(f"The server in {self.files.run_directory} is still starting: try again.")
        return state

    def save(self, state: ServerState) -> None:
        state.write(self.files.state)

    def log_of(self, model: str, version: str) -> WorkerLog:
        """The log of this version's workers, from now on."""
        return WorkerLog(self.worker_log, model, version)

    @contextlib.contextmanager
    def locked(self, what: str, *, waits: bool = False) -> Iterator[Self]:
        """Keeps other commands from changing this server, as ServerFiles.locked does."""
        with self.files.locked(what, waits=waits):
            yield self


def _holder(last_words: str, lock: Path) -> str:
    """Who holds the lock, by what its last holder has written: that may have been killed, and another one came."""
    if _is_there(last_words, lock):
        return f"Another command is changing this server: {last_words.strip()}"
    return f"Another process holds {lock}, and does not say who it is"


def _is_there(last_words: str, lock: Path) -> bool:
    process = _PROCESS.search(last_words)
    return process is not None and _has_open(int(process[1]), lock)


def _has_open(process: int, path: Path) -> bool:
    try:
        return any(file.path == str(path) for file in psutil.Process(process).open_files())
    except psutil.Error:  # it has ended, or is somebody else's by now
        return False
