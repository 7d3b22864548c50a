"""`python -m tests.end_to_end.versions.killed_command FAULT POINT ARGUMENT…` runs `torchbridge ARGUMENT…`.

The fault comes when it has come to the point of this name. `none` for a point runs it to its end and prints all points.

A point lies before and after each thing that a command does to a file, to TorchServe or to the gateway. Each fault is
shown to be there before the command goes on.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter import cli
from adapter.control.client import ControlClient
from adapter.torchserve.management_client import ManagementClient
from adapter.versions.journal import Journal
from adapter.versions.model_store import ModelStore
from adapter.versions.server_state import ServerState
from tests.full_disk import fill
from tests.project import PROJECT

WATCHED: list[tuple[type, str]] = [
    (Journal, "_write"),
    (ModelStore, "stage"),
    (ModelStore, "install"),
    (ModelStore, "remove"),
    (ManagementClient, "register"),
    (ManagementClient, "set_default"),
    (ManagementClient, "scale"),
    (ManagementClient, "unregister"),
    (ControlClient, "hold"),
    (ControlClient, "renew_canary"),
    (ControlClient, "release"),
    (ServerState, "write"),
]


_STDOUT, _STDERR = 1, 2


class ClosedPipe:
    """The standard output is a pipe, whose reader goes away."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        os.dup2(writer, _STDOUT)
        os.close(writer)

    def __call__(self) -> None:
        os.close(self._reader)
        with pytest.raises(BrokenPipeError):
            os.write(_STDOUT, b"x")


def send(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


FAULTS: dict[str, Callable[[], Callable[[], object]]] = {
    "SIGKILL": lambda: send(signal.SIGKILL),
    "SIGTERM": lambda: send(signal.SIGTERM),
    "SIGHUP": lambda: send(signal.SIGHUP),
    "closed pipe": ClosedPipe,
    "full disk": lambda: lambda: fill(Path(sys.argv[sys.argv.index("--run-directory") + 1]).parent),
}


class Points:
    def __init__(self, last: str, fault: Callable[[], object]) -> None:
        self.last = last
        self.passed: list[str] = []
        self._fault = fault
        self._counts: Counter[str] = Counter()

    def watch(self, kind: type, name: str) -> None:
        original: Callable[..., Any] = getattr(kind, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            what = f"{kind.__name__}.{name}"
            self._counts[what] += 1
            point = f"{what}-{self._counts[what]}"
            self._pass(f"before-{point}")
            result = original(*arguments, **options)
            self._pass(f"after-{point}")
            return result

        setattr(kind, name, watched)

    def _pass(self, point: str) -> None:
        self.passed.append(point)
        if point == self.last:
            os.write(_STDERR, f"here is {point}\n".encode())  # at once: there may be no later
            self._fault()


def main_in_files(output: Path, errors: Path, *arguments: str) -> None:
    """The same in a process of multiprocessing's, whose standard streams are these files."""
    for file, descriptor in ((output, _STDOUT), (errors, _STDERR)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    os.chdir(PROJECT)
    main(*arguments)


def main(fault: str, last: str, *arguments: str) -> None:
    sys.argv = ["torchbridge", *arguments]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has the tests, and what they start, ignore it
    points = Points(last, FAULTS[fault]())
    for kind, name in WATCHED:
        points.watch(kind, name)
    try:
        cli.main()
    finally:
        if last == "none":
            print("\n".join(f"point {each}" for each in points.passed))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
