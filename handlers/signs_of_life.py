"""Comments in answers that have no events yet, as long as the engine moves on: else they would be taken for lost.

A gateway gives an answer up after SILENCE_TIMEOUT without a byte. A prompt may need longer than that, with all those
that are read before it.
"""

import time
from collections.abc import Callable

COMMENT = b": waiting\n\n"
_SECONDS_BETWEEN = 1.0


class SignsOfLife:
    """`progress` returns a number that grows with all that the engine does. While it stands still there is no sign."""

    def __init__(self, progress: Callable[[], int]) -> None:
        self._progress = progress
        self._seen = progress()
        self._given_at = time.monotonic()

    def due(self) -> bytes:
        """What every answer without events says now: a comment once a second, and else nothing."""
        now = time.monotonic()
        if now - self._given_at < _SECONDS_BETWEEN or (progress := self._progress()) == self._seen:
            return b""
        self._seen, self._given_at = progress, now
        return COMMENT
