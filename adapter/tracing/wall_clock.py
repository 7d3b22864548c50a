"""Monotonic times as spans have them: in nanoseconds since the Unix epoch."""

import time

_NANOSECONDS = 1_000_000_000


class WallClock:
    """One for each trace: whatever happens to the system's clock meanwhile, its spans lie right among each other."""

    def __init__(self) -> None:
        self._epoch = time.time_ns() - int(time.monotonic() * _NANOSECONDS)

    def nanoseconds(self, at: float) -> int:
        """`at` is time.monotonic()."""
        return self._epoch + int(at * _NANOSECONDS)
