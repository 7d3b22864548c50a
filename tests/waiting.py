"""Waits for conditions, never for times."""

import time
from collections.abc import Callable

PATIENCE = 120.0  # seconds; a bound for a machine that stalls, not an expectation


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
