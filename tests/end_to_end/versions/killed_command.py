"""`python -m tests.end_to_end.versions.killed_command POINT ARGUMENT…` runs `torchbridge ARGUMENT…` until it comes to
the point of this name, and is then killed by SIGKILL. `none` for a point runs it to its end and prints all points.

A point lies before and after each thing that a command does to a file, to TorchServe or to the gateway.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from adapter import cli
from adapter.control.client import ControlClient
from adapter.torchserve.management_client import ManagementClient
from adapter.versions.journal import Journal
from adapter.versions.model_store import ModelStore
from adapter.versions.server_state import ServerState

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


class Points:
    def __init__(self, last: str) -> None:
        self.last = last
        self.passed: list[str] = []
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
            os.kill(os.getpid(), signal.SIGKILL)


def main(last: str, *arguments: str) -> None:
    points = Points(last)
    for kind, name in WATCHED:
        points.watch(kind, name)
    sys.argv = ["torchbridge", *arguments]
    try:
        cli.main()
    finally:
        print("\n".join(f"point {each}" for each in points.passed))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
