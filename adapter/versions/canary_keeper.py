"""The canaries that no command watches: the server does, and carries out the verdict as a command would."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from adapter.control.client import ControlClient, GatewayNotRunning
from adapter.control.messages import CanaryReport, control_socket
from adapter.errors import TorchbridgeError
from adapter.versions import lifecycle
from adapter.versions.canary import CountsLost, Verdict, Watch, in_words
from adapter.versions.canary_record import CanaryRecord, CanaryRecords, Outcome
from adapter.versions.canary_words import how_far_it_is
from adapter.versions.errors import ServerBusy, VersionError
from adapter.versions.recovery import changing
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles

_SECONDS_BETWEEN_LOOKS = 1.0
_LONGEST_END = 60.0  # seconds, for a promotion that is under way

_OUTCOMES = {
    Verdict.FAILS_MORE: Outcome.GIVEN_UP,
    Verdict.SLOWER: Outcome.GIVEN_UP,
    Verdict.PROMOTE: Outcome.WOULD_BE_PROMOTED,
    Verdict.UNDECIDED: Outcome.UNDECIDED,
}

_log = logging.getLogger(__name__)


def canary_keeper(run_directory: Path, find_server: Callable[[], RunningServer]) -> "CanaryKeeper":
    """The keeper for the server of this process."""
    gateway, files = ControlClient(control_socket(run_directory)), ServerFiles(run_directory.resolve())
    return CanaryKeeper(gateway, files, find_server)


@dataclass
class _Watched:
    watch: Watch
    record: CanaryRecord
    deadline: float  # time.monotonic()


class CanaryKeeper:
    """Runs a thread inside of `with`. At its end canaries end without a promotion, and so do those that it finds left.

    `find_server` gives the server that a promotion changes, as a command would find it.
    """

    def __init__(self, gateway: ControlClient, files: ServerFiles, find_server: Callable[[], RunningServer]) -> None:
        self._gateway = gateway
        self._files = files
        self._find_server = find_server
        self._watched: dict[str, _Watched] = {}
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._look_again_and_again, name="canaries", daemon=True)

    def __enter__(self) -> Self:
        self._end_all("the server was killed, or crashed")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self._thread.join(_LONGEST_END)
        self._end_all("the server was stopped")

    def look(self) -> None:
        for report in self._gateway.canaries():
            if report.timeout is not None and report.id not in self._watched:
                self._begin(report, report.timeout)
        for watched in list(self._watched.values()):
            self._look_at(watched)

    def _look_again_and_again(self) -> None:
        while not self._has_ended.wait(_SECONDS_BETWEEN_LOOKS):
            try:
                self.look()
            except (GatewayNotRunning, TorchbridgeError):
                pass  # it is looked for again
            except Exception:  # noqa: BLE001 - a canary that is not looked at ends by itself, and others may come
                _log.exception("the canaries were not looked at")

    def _begin(self, report: CanaryReport, timeout: float) -> None:
        record = CanaryRecord.begun(report)
        self._watched[report.id] = _Watched(Watch(self._gateway, report), record, time.monotonic() + timeout)
        self._write(record)
        _log.info("canary of %s %s: %s", record.model, record.version, record.what)

    def _look_at(self, watched: _Watched) -> None:
        try:
            verdict = watched.watch.look()
        except (CountsLost, GatewayNotRunning, TorchbridgeError) as error:
            self._end(watched, Outcome.CUT_SHORT, str(error))
            return
        report = watched.watch.latest
        is_left_to_others = verdict is Verdict.PROMOTE and not report.promotes
        if (verdict is Verdict.UNDECIDED or is_left_to_others) and time.monotonic() < watched.deadline:
            return  # a good one goes on, too, as long as others may come to read of it
        if verdict is Verdict.PROMOTE and report.promotes and not report.is_shadow:
            self._promote(watched, self._in_words(verdict, report))
        else:
            self._end(watched, _OUTCOMES[verdict], self._in_words(verdict, report))

    def _promote(self, watched: _Watched, words: str) -> None:
        model, version = watched.record.model, watched.record.version
        try:
            server = self._find_server()
            with changing(server, f"canary {version}", _log.info):
                lifecycle.promote(server, model, version)
        except ServerBusy:
            return  # a command changes the server: until that is done the canary goes on
        except (VersionError, GatewayNotRunning, TorchbridgeError, OSError) as error:
            self._end(watched, Outcome.CUT_SHORT, f"it was to be promoted, and could not be: {error}")
        else:
            self._end(watched, Outcome.PROMOTED, words)

    def _in_words(self, verdict: Verdict, report: CanaryReport) -> str:
        words = in_words(verdict, report.version, report.rule, shadow=report.is_shadow or not report.promotes)
        return f"{words} ({how_far_it_is(report)})"

    def _end(self, watched: _Watched, outcome: Outcome, reason: str) -> None:
        record = watched.record.ended(outcome, reason)
        canary_id = watched.watch.latest.id
        del self._watched[canary_id]
        with suppress(GatewayNotRunning, TorchbridgeError):  # it ends by itself
            self._gateway.end_canary(canary_id)
        self._write(record)
        _log.info("canary of %s %s, %s: %s", record.model, record.version, outcome, reason)

    def _end_all(self, reason: str) -> None:
        with suppress(GatewayNotRunning, TorchbridgeError):
            for canary_id in self._watched:
                self._gateway.end_canary(canary_id)
        self._watched.clear()
        with suppress(OSError, VersionError):
            before = self._records()
            if (after := before.all_ended(reason)) != before:
                after.write(self._files.canaries)

    def _write(self, record: CanaryRecord) -> None:
        """Writes it if there is space: a full disk prevents no promotion, and no end."""
        try:
            self._records().with_record(record).write(self._files.canaries)
        except (OSError, VersionError) as error:
            _log.warning("what became of the canary of %s is not written down: %s", record.model, error)

    def _records(self) -> CanaryRecords:
        return CanaryRecords.read(self._files.canaries) or CanaryRecords()
