"""Ends a worker that cannot go on: TorchServe starts another, and its answers end at once instead of never."""

import faulthandler
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from handlers.last_words import wait_until_read

logger = logging.getLogger(__name__)

_MOST_BETWEEN_CHECKS = 1.0  # seconds


class EndWorker(Protocol):
    def __call__(self, reason: str, error: BaseException | None = None) -> None: ...


def end_worker(reason: str, error: BaseException | None = None) -> None:
    """Ends this process from whichever thread, and says why in the log."""
    try:
        logger.critical("torchbridge: the worker ends, for TorchServe to start another: %s", reason, exc_info=error)
        faulthandler.dump_traceback()  # of all threads: it tells where one hangs
        wait_until_read()
    finally:
        # sys.exit would end one thread only, and an orderly end would wait for the one that hangs.
        os._exit(1)


class Watchdog:
    """Ends the worker when work has begun and does not end.

    TorchServe's `responseTimeout` does not see that: all the while the handler answers its calls.
    """

    def __init__(self, work: str, limit: float, end_worker: EndWorker) -> None:
        """`work` is what the log calls it; `limit` is in seconds."""
        self._work, self._limit, self._end_worker = work, limit, end_worker
        self._piece: object | None = None  # of the work, while there is one
        self._seen: object | None = None  # at the last check
        self._last_check = time.monotonic()
        self._seconds = 0.0  # that the piece was seen to take

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Put it around one piece of the work, in its thread."""
        self._piece = object()
        try:
            yield
        finally:
            self._piece = None

    def check(self) -> None:
        """Call it now and then while waiting for the work.

        The time between two checks counts for a second at most: in more of it this process was not running (a frozen
        container, a machine that slept), and so was the work.
        """
        now, piece = time.monotonic(), self._piece
        passed = min(now - self._last_check, _MOST_BETWEEN_CHECKS)
        self._seconds = self._seconds + passed if piece is self._seen else 0.0
        self._last_check, self._seen = now, piece
        if piece is not None and self._seconds >= self._limit:
            self._end_worker(f"{self._work} has not ended in {self._limit:g} seconds")
