"""Finds out that the worker of a silent answer is not there any more, where TorchServe forgot the answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from adapter.errors import ModelNotFound, ModelNotReady, UpstreamUnavailable, VersionNotFound, WorkerDied
from adapter.torchserve.model_registry import PinnedVersion

_log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 1.0
CUT = "The model's worker died in the middle of the answer."

# Gets a model and a version; returns the workers that are ready now, and raises where there are none.
FindWorkers = Callable[[str, str], Awaitable[PinnedVersion]]


async def watch_worker(find_workers: FindWorkers, model: str, version: str) -> NoReturn:
    """Raises WorkerDied when no worker is left of those that could be writing an answer that has begun.

    TorchServe ends the answers of a worker that dies, but once 0.12.0 did not, and 100 more kills did not show why.
    """
    workers: frozenset[tuple[int, str]] | None = None
    while True:
        try:
            seen = (await find_workers(model, version)).workers
            workers = workers or seen
            if workers.isdisjoint(seen):
                raise WorkerDied(CUT, cause="another worker has taken its place")
        except (ModelNotReady, ModelNotFound, VersionNotFound) as error:
            raise WorkerDied(CUT, cause=error.detail) from error
        except UpstreamUnavailable as error:
            _log.warning("the worker of a silent answer cannot be looked for: %s", error.with_cause)
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
