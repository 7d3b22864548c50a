"""Versions that were ready, are not now, and are likely to be again: a worker or TorchServe itself is started anew."""

import time
from collections.abc import Set as AbstractSet
from typing import TypeAlias

VersionKey: TypeAlias = tuple[str, str]  # model and version


class Comebacks:
    """Learns from each look at TorchServe. Nothing is expected for longer than `limit` seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._known: set[VersionKey] = set()  # ready at the last look, or expected since
        self._gone_since: dict[VersionKey, float] = {}  # time.monotonic()
        self._gone_with_torchserve: set[VersionKey] = set()
        self._outage_since: float | None = None

    def note(self, ready: AbstractSet[VersionKey], restarting: AbstractSet[VersionKey]) -> None:
        """Notes TorchServe's answer.

        ready: versions with a ready worker. restarting: versions that have workers, none of which is ready.
        """
        self._outage_since = None
        for version in self._known - ready:
            if version in restarting:
                self._gone_since.setdefault(version, time.monotonic())
            elif version not in self._gone_with_torchserve:  # TorchServe gets its versions back one after the other
                self._gone_since.pop(version, None)
                self._known.discard(version)  # somebody has unloaded it
        for version in ready:
            self._gone_since.pop(version, None)
        self._gone_with_torchserve -= ready
        self._known |= ready

    def note_outage(self) -> None:
        """TorchServe did not answer."""
        now = time.monotonic()
        self._outage_since = self._outage_since or now
        self._gone_with_torchserve |= self._known
        for version in self._known:
            self._gone_since.setdefault(version, now)

    def expects(self, version: VersionKey) -> bool:
        gone_since = self._gone_since.get(version)
        return gone_since is not None and time.monotonic() - gone_since < self._limit

    def has_given_up(self) -> bool:
        """Whether TorchServe has not answered for so long that it is taken for gone."""
        return self._outage_since is not None and time.monotonic() - self._outage_since >= self._limit
