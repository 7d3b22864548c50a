"""One `torchbridge serve` on this machine for who changes it: TorchServe, too, is asked and told."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from adapter.settings import Settings
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient
from adapter.torchserve.properties import read_properties
from adapter.torchserve.run_directory import RunDirectory
from adapter.torchserve.worker_log import WorkerLog
from adapter.validation.settings_file import read_settings
from adapter.versions.model_store import ModelStore
from adapter.versions.observed_server import ObservedServer
from adapter.versions.server_state import ServerState


class RunningServer(ObservedServer):
    """settings: what the server runs with, where it is that of this process. A command reads its own environment."""

    def __init__(self, run_directory: Path, settings: Settings | None = None) -> None:
        super().__init__(run_directory)
        directory = RunDirectory(run_directory)
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
        self.store = ModelStore(self.files.store)

    @classmethod
    def of(cls, server: ObservedServer) -> "RunningServer":
        """The same server, for who has only looked so far."""
        return server if isinstance(server, RunningServer) else cls(server.files.run_directory)

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
