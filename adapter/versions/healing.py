"""Looks from time to time at what a server should serve, and mends what nobody else would."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol, Self

from adapter.errors import TorchbridgeError
from adapter.versions.changes import Report
from adapter.versions.errors import VersionError
from adapter.versions.left_out_versions import LeftOutVersions
from adapter.versions.running_server import RunningServer
from adapter.versions.worker_revival import WorkerRevival

_SECONDS_BETWEEN_LOOKS = 10.0

_log = logging.getLogger(__name__)


class _Look(Protocol):
    """Raises what the management API answers, and VersionError while a command changes the server."""

    def look(self, server: RunningServer) -> None: ...


class Healing:
    """Runs a thread inside of `with`. `end_torchserve`: TorchServe is to be started again."""

    def __init__(
        self, find_server: Callable[[], RunningServer], report: Report, end_torchserve: Callable[[], None]
    ) -> None:
        self._find_server = find_server
        self._report = report
        self._looks: tuple[_Look, ...] = (WorkerRevival(self._say, end_torchserve), LeftOutVersions(self._say))
        self._end = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._look_on, name="healing", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()

    def _say(self, line: str) -> None:
        if not self._end.is_set():  # what fails because TorchServe ends is no news
            self._report(line)

    def _look_on(self) -> None:
        while not self._end.wait(_SECONDS_BETWEEN_LOOKS):
            for each in self._looks:
                self._look(each)

    def _look(self, each: _Look) -> None:
        try:
            each.look(self._find_server())
        except (TorchbridgeError, VersionError, OSError) as error:
            _log.debug("no look at the workers: %s", error)
        except Exception:  # noqa: BLE001 - without descriptors no file can be read; the next look may succeed
            _log.exception("no look at the workers")
