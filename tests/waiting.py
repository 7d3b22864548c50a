"""Waits for conditions, never for times."""

import time
from collections.abc import Callable
from time import monotonic  # the true one, also where a test holds the clock

PATIENCE = 120.0  # seconds; a bound for a machine that stalls, not an expectation
PATIENCE_WITH_WORKERS = 600.0  # which start and load
_LEAST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25  # seconds
_PAUSE_AFTER_A_LOOK = 3  # times as long as it took: what is waited for needs the core more


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    deadline = monotonic() + patience
    began = monotonic()
    while not condition():
        now = monotonic()
        assert now < deadline
        time.sleep(min(_LONGEST_PAUSE, max(_LEAST_PAUSE, _PAUSE_AFTER_A_LOOK * (now - began))))
        began = monotonic()
