"""Loads what is recorded but not served: its reason to be left out, as a full disk, may be over."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from adapter.torchserve.loading import describe_versions
from adapter.versions.changes import Report
from adapter.versions.restoration import restore
from adapter.versions.running_server import RunningServer

_FIRST_RETRY, _LAST_RETRY = 30.0, 960.0  # seconds after it is seen to be missing, twice as long each time

_Version: TypeAlias = tuple[str, str]  # model and version


@dataclass
class _Retry:
    at: float  # time.monotonic()
    pause: float = _FIRST_RETRY


class LeftOutVersions:
    """Versions that have workers by the server's record, but none by TorchServe, or that it does not have at all.

    One whose change is under way, or was interrupted, is left to that change.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._retries: dict[_Version, _Retry] = {}

    def look(self, server: RunningServer) -> None:
        """Raises what the management API answers, and VersionError while a command changes the server."""
        missing, now = list(_missing(server)), time.monotonic()
        self._retries = {version: self._retries.get(version) or _Retry(now + _FIRST_RETRY) for version in missing}
        for version, retry in self._retries.items():
            if now >= retry.at:
                restore(server, *version, self._report)
                retry.pause = min(2 * retry.pause, _LAST_RETRY)
                retry.at = time.monotonic() + retry.pause


def _missing(server: RunningServer) -> Iterator[_Version]:
    unfinished = server.journal.unfinished()
    changing = (unfinished.operation.model, unfinished.operation.version) if unfinished else None
    for model, recorded in server.state.models.items():
        described = describe_versions(server.management, model)
        for version, deployed in recorded.default_first():
            is_served = version in described and described[version].workers
            if deployed.workers and not is_served and (model, version) != changing:
                yield model, version
