"""One `torchbridge serve` on this machine for who only looks: what its gateway and its own files say of it."""

from pathlib import Path

from adapter.control.client import ControlClient, without_socket
from adapter.control.messages import control_socket
from adapter.durable.lock import is_held
from adapter.durable.private_directory import claim_directory
from adapter.torchserve.run_paths import RunPaths
from adapter.versions.errors import ServerNotRunning
from adapter.versions.journal import Journal
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState


class ObservedServer:
    """Found by its run directory. TorchServe is not asked, and what that takes is not imported."""

    def __init__(self, run_directory: Path) -> None:
        self.files = ServerFiles(run_directory.resolve())
        directory = RunPaths(run_directory)
        self.gateway = ControlClient(control_socket(run_directory))
        # One that answers has lost its key file, and has it written anew when it is asked next.
        if not directory.config.exists() or not (directory.key_file.exists() or self.gateway.is_answered()):
            if is_held(directory.lock_file):
                raise ServerNotRunning(without_socket(control_socket(directory.path)))
            raise ServerNotRunning(f"No server runs in {directory.path}: torchbridge serve starts one.")
        claim_directory(directory.path)
        self.journal = Journal(self.files.journal)

    @property
    def state(self) -> ServerState:
        state = ServerState.read(self.files.state)
        if state is None:
            raise ServerNotRunning(f"The server in {self.files.run_directory} is still starting: try again.")
        return state
