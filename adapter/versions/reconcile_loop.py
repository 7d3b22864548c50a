"""The server changes what it serves: as its file says (`serve --watch`), or as `torchbridge rollout` orders."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol, Self, TypeAlias

from adapter.versions.changes import Report
from adapter.versions.converging import converge
from adapter.versions.desired_state import DesiredState
from adapter.versions.errors import VersionError
from adapter.versions.running_server import RunningServer

_SECONDS_BETWEEN_LOOKS = 1.0
_LONGEST_END = 10.0  # seconds, for a change that is under way; what it leaves is ended as that of a killed command

_log = logging.getLogger(__name__)


class Converge(Protocol):
    """Raises ServerBusy while a command changes the server, and what a deployment raises."""

    def __call__(self, desired: DesiredState, what: str, report: Report, *, keeps_others: bool = False) -> None: ...


class DesiredStateSource(Protocol):
    """A source of what is to be served. Its `look` changes the server if there is anything new, and raises nothing."""

    def look(self, converge: Converge) -> None: ...


FindServer: TypeAlias = Callable[[], RunningServer]


class _ServerEnds(VersionError): ...


class ReconcileLoop:
    """Runs a thread inside of `with`. `find_server` gives the server that is changed, as a command would find it."""

    def __init__(self, find_server: FindServer, source: DesiredStateSource) -> None:
        self._find_server = find_server
        self._source = source
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._look_again_and_again, name="versions", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self._thread.join(_LONGEST_END)

    def look(self) -> None:
        self._source.look(self._converge)

    def _look_again_and_again(self) -> None:
        while not self._has_ended.wait(_SECONDS_BETWEEN_LOOKS):
            self.look()

    def _converge(self, desired: DesiredState, what: str, report: Report, *, keeps_others: bool = False) -> None:
        def say(line: str) -> None:
            if self._has_ended.is_set():  # between two steps: what was begun is undone
                raise _ServerEnds("The server ends.")
            _log.info("%s: %s", what, line.strip())
            report(line.strip())

        converge(self._find_server(), desired, what, say, keeps_others=keeps_others)


def reason_of(error: Exception) -> str:
    """The error in words, with what became of the change that it has ended."""
    return " ".join((str(error) or type(error).__name__, *getattr(error, "__notes__", ())))
