"""Finds out that the worker of a silent answer is not there any more, where TorchServe forgot the answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from adapter.errors import (
    ModelNotFound,
    ModelNotReady,
    TorchbridgeError,
    UpstreamUnavailable,
    VersionNotFound,
    WorkerDied,
)
from adapter.torchserve.served_models import PinnedVersion

_log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 1.0
CUT = "The model's worker died in the middle of the answer."

# Gets a model and a version; returns the workers that are ready now, and raises where there are none.
FindWorkers = Callable[[str, str], Awaitable[PinnedVersion]]

_Result = TypeVar("_Result")
_Version = tuple[str, str]


@dataclass(slots=True, eq=False)
class _Reader:
    """The reader of one silent answer."""

    deadline: asyncio.Timeout
    workers: frozenset[tuple[int, str]] | None = None  # of the first look: one of them is writing the answer
    failure: Exception | None = None

    def end(self, failure: Exception) -> None:
        if not self.deadline.expired():
            self.failure = failure
            self.deadline.reschedule(asyncio.get_running_loop().time())


class WorkerWatch:
    """Looks after all silent answers of a version at once: thousands may be silent, and a task for each costs memory.

    TorchServe ends the answers of a worker that dies, but once 0.12.0 did not, and 100 more kills did not show why.
    """

    def __init__(self, find_workers: FindWorkers) -> None:
        self._find_workers = find_workers
        self._readers: dict[_Version, set[_Reader]] = {}
        self._watching: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        watching = list(self._watching)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def unless_gone(self, reading: Awaitable[_Result], version: _Version, seconds: float) -> _Result:
        """The result of the next read of a silent answer. Raises TimeoutError after `seconds`.

        Raises WorkerDied when no worker is left of those that could be writing the answer, which has begun.
        """
        readers = self._readers_of(version)
        reader = _Reader(asyncio.timeout(seconds))
        try:
            async with reader.deadline:
                readers.add(reader)
                return await reading
        except TimeoutError:
            raise reader.failure or TimeoutError from None
        finally:
            readers.discard(reader)

    def _readers_of(self, version: _Version) -> set[_Reader]:
        readers = self._readers.get(version)
        if readers is None:
            readers = self._readers[version] = set()
            task = asyncio.create_task(self._watch(version, readers))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)
        return readers

    async def _watch(self, version: _Version, readers: set[_Reader]) -> None:
        try:
            while readers:
                await self._look(version, list(readers))
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            del self._readers[version]

    async def _look(self, version: _Version, readers: list[_Reader]) -> None:
        """`readers` are those from before the look: later ones may read from a worker that it did not find."""
        try:
            seen = (await self._find_workers(*version)).workers
        except UpstreamUnavailable as error:
            _log.warning("the worker of a silent answer cannot be looked for: %s", error.with_cause)
        except (ModelNotReady, ModelNotFound, VersionNotFound) as error:
            for reader in readers:
                reader.end(WorkerDied(CUT, cause=error.detail))
        except TorchbridgeError as error:
            for reader in readers:
                reader.end(error)
        else:
            for reader in readers:
                reader.workers = reader.workers or seen
                if reader.workers.isdisjoint(seen):
                    reader.end(WorkerDied(CUT, cause="another worker has taken its place"))
