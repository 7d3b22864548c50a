"""Waits for conditions, never for times."""

import time
from collections.abc import Callable
from time import monotonic  # the true one, also where a test holds the clock

PATIENCE = 120.0  # seconds; a bound for a machine that stalls, not an expectation
PATIENCE_WITH_WORKERS = 600.0  # which start and load


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    deadline = monotonic() + patience
    while not condition():
        assert monotonic() < deadline
        time.sleep(0.01)
