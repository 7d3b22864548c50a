"""Each command, cut short before and after each thing that it does: it is done, undone, or shown as open.

By a signal, and by a disk that is full from there on. tests/end_to_end/versions/test_killed_commands.py does so with a
real server, and with SIGKILL and closed pipes.
"""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from adapter.process.stop_signals import Stopped, stop_signals
from adapter.versions import deployment
from adapter.versions.deployment import DeploymentOptions, deploy
from adapter.versions.errors import DrainTimeout
from adapter.versions.journal import Journal, Operation
from adapter.versions.lifecycle import promote, retire, rollback, scale
from adapter.versions.recovery import changing
from adapter.versions.settling import under_way
from adapter.versions.status import server_status
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines, make_archive

Command = Callable[[FakeServer, Path], object]
Fault = Callable[["Points"], None]

COMMANDS: dict[str, Command] = {
    "deploy": lambda server, archive: deploy(server, archive, DeploymentOptions(keep=1), Lines()),
    "deploy beside": lambda server, archive: deploy(server, archive, DeploymentOptions(promotes=False), Lines()),
    "promote": lambda server, _: promote(server, "tiny", "1.0"),
    "rollback": lambda server, _: rollback(server, "tiny"),
    "retire": lambda server, _: retire(server, "tiny", "1.0", 5),
    "unload": lambda server, _: scale(server, "tiny", "1.0", 0, timeout=5, report=Lines()),
}
ON_THE_DISK = {"journal": ("_write",), "store": ("stage", "install")}
WATCHED = {
    **ON_THE_DISK,
    "management": ("register", "set_default", "scale", "unregister"),
    "gateway": ("hold", "release"),
}


class Points:
    """Passes by one before and one after each thing that a command does, and brings about the fault at the last."""

    def __init__(self, server: FakeServer, monkeypatch: pytest.MonkeyPatch, last: int | None, fault: Fault) -> None:
        self.num_passed = 0
        self.is_disk_full = False
        self._last, self._fault = last, fault
        for part, names in WATCHED.items():
            owner = getattr(server, part)
            for name in names:
                monkeypatch.setattr(owner, name, self._watched(getattr(owner, name), writes=part in ON_THE_DISK))
        monkeypatch.setattr(server, "save", self._watched(server.save, writes=True))

    def _watched(self, original: Callable[..., Any], *, writes: bool) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self._pass()
            if writes and self.is_disk_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = original(*arguments)
            self._pass()
            return result

        return watched

    def _pass(self) -> None:
        self.num_passed += 1
        if self.num_passed == self._last:
            self._fault(self)


class Seen(NamedTuple):
    """By everybody who knows something."""

    default: str
    default_by_record: str
    registered: list[str]
    recorded: list[str]
    stored: list[str]
    workers: dict[str, int]

    @classmethod
    def of(cls, server: FakeServer) -> "Seen":
        known = server.state.models["tiny"]
        return cls(
            server.management.default_version("tiny"),
            known.default,
            server.registered(),
            server.recorded(),
            [name for name in server.stored() if name.endswith(".mar")],
            {version: len(workers) for version, workers in server.management.models["tiny"].items()},
        )


def stop(_: Points) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def fill_the_disk(points: Points) -> None:
    points.is_disk_full = True


@pytest.fixture(autouse=True)
def answers_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*_: object) -> None:
        pass

    monkeypatch.setattr(deployment, "_ask", answer)


class Site:
    """Makes a server with tiny 1.0 and 2.0, the default, for each run of a command."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._num_servers = 0
        self._untouched = FakeServer(directory / "untouched", clock)
        self._untouched.serve("1.0", "2.0")
        self._archive = make_archive(directory / "release", "3.0")

    def run(self, command: Command, fault: Fault, last: int | None = None) -> tuple[FakeServer, int]:
        """How many points it has passed, after the fault is gone; 0 where it was not cut short."""
        self._num_servers += 1
        server = self._untouched.copied(self._directory / str(self._num_servers))
        with pytest.MonkeyPatch.context() as monkeypatch:
            points = Points(server, monkeypatch, last, fault)
            try:
                with stop_signals(), changing(server, "it", Lines()):
                    command(server, self._archive)
            except (Stopped, OSError):
                assert last is not None
        return server, points.num_passed


@pytest.fixture
def site(tmp_path: Path, clock: Clock) -> Site:
    return Site(tmp_path, clock)


@pytest.mark.usefixtures("hears_all_signals")
@pytest.mark.parametrize("fault", [stop, fill_the_disk])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_wherever_it_is_cut_short_it_is_done_or_undone_or_shown_as_open(
    site: Site, command: Command, fault: Fault
) -> None:
    untouched, _ = site.run(lambda *_: None, fault)
    done, num_points = site.run(command, fault)
    before, after = Seen.of(untouched), Seen.of(done)
    assert num_points >= 8
    for point in range(1, num_points + 1):
        server, _ = site.run(command, fault, point)
        is_open = any(each.open_change for each in server_status(server))
        assert not (is_open and fault is stop), f"a signal has left something at point {point}"
        ends = (before, after, *short_of_retiring(server, after))
        assert is_open or Seen.of(server) in ends, point
        default = server.management.default_version("tiny")
        with changing(server, "something else", Lines()):
            pass
        assert (server.journal.unfinished(), server.management.default_version("tiny")) == (None, default), point
        assert Seen.of(server) in ends, point


def short_of_retiring(server: FakeServer, after: Seen) -> list[Seen]:
    """A deployment that is done, but for the version beyond --keep: it stays until the next one."""
    is_deployment = "3.0" in after.registered and "1.0" not in after.registered
    seen = Seen.of(server)
    versions = ["1.0", "2.0", "3.0"]
    stored = [f"tiny-{version}.mar" for version in versions]
    return [Seen("3.0", "3.0", versions, versions, stored, seen.workers)] if is_deployment else []


@pytest.mark.usefixtures("hears_all_signals")
def test_a_signal_while_a_failure_is_undone_hides_neither_the_failure_nor_what_became_of_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeServer(tmp_path / "run", clock)
    server.serve("1.0", "2.0")
    operation = Operation(kind="retire", model="tiny", version="1.0", archive="tiny-1.0.mar")

    def end(*arguments: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        Journal.end(server.journal, *arguments)

    monkeypatch.setattr(server.journal, "end", end)
    with pytest.raises(Stopped) as stopped, stop_signals(), under_way(server, operation):
        raise DrainTimeout("requests still run")
    assert stopped.value.__notes__ == [
        "it had failed: requests still run",
        "the retire of tiny 1.0 is undone: it stays",
    ]
    assert server.journal.unfinished() is None
