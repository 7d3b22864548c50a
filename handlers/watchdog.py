"""Ends a worker that cannot go on: TorchServe starts another, and its answers end at once instead of never."""

import faulthandler
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

logger = logging.getLogger(__name__)


class EndWorker(Protocol):
    def __call__(self, reason: str, error: BaseException | None = None) -> None: ...


def end_worker(reason: str, error: BaseException | None = None) -> None:
    """Ends this process from whichever thread, and says why in the log."""
    logger.critical("torchbridge: the worker ends, for TorchServe to start another: %s", reason, exc_info=error)
    faulthandler.dump_traceback()  # of all threads: it tells where one hangs
    # sys.exit would end one thread only, and an orderly end would wait for the one that hangs.
    os._exit(1)


class Watchdog:
    """Ends the worker when work has begun and does not end.

    TorchServe's `responseTimeout` does not see that: all the while the handler answers its calls.
    """

    def __init__(self, work: str, limit: float, end_worker: EndWorker) -> None:
        """`work` is what the log calls it; `limit` is in seconds."""
        self._work, self._limit, self._end_worker = work, limit, end_worker
        self._began: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around one piece of the work, in its thread."""
        self._began = time.monotonic()
        try:
            yield
        finally:
            self._began = None

    def check(self) -> None:
        """For whoever waits for the work, now and then."""
        began = self._began
        if began is not None and time.monotonic() - began > self._limit:
            self._end_worker(f"{self._work} has not ended in {self._limit:g} seconds")
