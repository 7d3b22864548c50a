"""Looks at a server of a test, by the test's clock."""

from typing import Protocol

from adapter.versions.running_server import RunningServer
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines


class Look(Protocol):
    def look(self, server: RunningServer) -> None: ...


class Looks:
    """reports: what the looks have reported."""

    def __init__(self, server: FakeServer, clock: Clock, look: Look, reports: Lines) -> None:
        self.server, self.clock, self.reports = server, clock, reports
        self._look = look

    def after(self, seconds: float) -> list[tuple[object, ...]]:
        """The changes that this look has made."""
        self.clock.sleep(seconds)
        self.server.management.changes.clear()
        self._look.look(self.server)
        return list(self.server.management.changes)
