"""Has TorchServe start workers that it has given up: it tries for maxRetryTimeoutInSec, and then never again.

So a reason that is over after five minutes, as a full disk, would keep a version from answering for ever
(WorkerThread.java, isHealthy: without it `run` calls no `retry`). And where it has unpacked the archive and those files
are lost, no worker of it can be started at all.
"""

import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import psutil

from adapter.torchserve.loading import describe_versions
from adapter.torchserve.management_client import ModelDescription, WorkerDescription
from adapter.versions.changes import Report, scale_workers
from adapter.versions.running_server import RunningServer
from adapter.versions.unpacked_archives import is_unpacked

# Seconds. TorchServe waits for at most 55 before it tries again (WorkerThread.java, BACK_OFF).
_LONGEST_PAUSE = 60.0

_Version: TypeAlias = tuple[str, str]  # model and version


class WorkerRevival:
    """Looks at the versions that the server's record has.

    A worker is given up if it has no process and was not ready for `longest_pause` seconds longer than TorchServe
    goes on to try. To start it any earlier would make TorchServe try more often. `end_torchserve` has it started again.
    """

    def __init__(
        self, report: Report, end_torchserve: Callable[[], None], longest_pause: float = _LONGEST_PAUSE
    ) -> None:
        self._report = report
        self._end_torchserve = end_torchserve
        self._longest_pause = longest_pause
        self._unready_since: dict[_Version, float] = {}  # time.monotonic()

    def look(self, server: RunningServer) -> None:
        """Raises what the management API answers, and VersionError while a command changes the server."""
        now = time.monotonic()
        unready = dict(_unready(server))
        self._unready_since = {version: self._unready_since.get(version, now) for version in unready}
        for version, description in unready.items():
            patience = description.max_retry_timeout_in_sec + self._longest_pause
            if now - self._unready_since[version] >= patience and not _has_process(description):
                self._start(server, version)
                del self._unready_since[version]

    def _start(self, server: RunningServer, version: _Version) -> None:
        model, name = version
        with server.locked(f"torchbridge serve, starting a worker of {model} {name}"):
            if version not in dict(_unready(server)):
                return
            deployed = server.state.models[model].versions[name]
            if not is_unpacked(server.files, deployed):
                self._report(f"what TorchServe has unpacked of {model} {name} is lost: it has to unpack it again")
                self._end_torchserve()
                return
            self._report(f"TorchServe has given up the worker of {model} {name}: starting another one")
            scale_workers(server, model, name, 0)  # a number that it has already would change nothing
            scale_workers(server, model, name, deployed.workers)


def _unready(server: RunningServer) -> Iterator[tuple[_Version, ModelDescription]]:
    """The versions that have workers by the record and by TorchServe, but none that is ready."""
    for model, recorded in server.state.models.items():
        described = describe_versions(server.management, model)
        for version, deployed in recorded.versions.items():
            description = described.get(version)
            if deployed.workers and description and description.workers and not description.ready_workers:
                yield (model, version), description


def _has_process(description: ModelDescription) -> bool:
    return any(_lives(worker) for worker in description.workers)


def _lives(worker: WorkerDescription) -> bool:
    """TorchServe goes on to tell the number of a process that has ended, which may be another one's by now."""
    socket = f".ts.sock.{worker.id}"  # WorkerLifeCycle.java names it so, and no worker's id comes twice
    try:
        return worker.pid > 0 and any(word.endswith(socket) for word in psutil.Process(worker.pid).cmdline())
    except psutil.Error:
        return False
