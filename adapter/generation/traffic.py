"""What runs on each model version right now, and for which versions new requests are held back."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion


class VersionTraffic(NamedTuple):
    num_live: int
    oldest: float | None  # seconds since the oldest live request meant this version
    num_held: int


class Traffic:
    """Lives in one event loop.

    A held version runs what it has and is given nothing more, so that it can be emptied before its workers end.
    A hold ends by itself, as the process that asked for it may be gone.
    """

    def __init__(self) -> None:
        self._live: dict[tuple[str, str], dict[object, float]] = {}
        self._held_until: dict[tuple[str, str], float] = {}  # time.monotonic()
        self._num_held: dict[tuple[str, str], int] = {}
        self._released = asyncio.Event()

    @contextmanager
    def live(self, pinned: PinnedVersion) -> Iterator[None]:
        """Counts one request of this version. No await may stand between the choice of the version and this."""
        version = (pinned.model, pinned.version)
        ticket = object()
        self._live.setdefault(version, {})[ticket] = time.monotonic()
        try:
            yield
        finally:
            del self._live[version][ticket]
            if not self._live[version]:
                del self._live[version]

    def hold(self, model: str, version: str, seconds: float) -> None:
        self._held_until[model, version] = time.monotonic() + seconds

    def release(self, model: str, version: str) -> None:
        self._held_until.pop((model, version), None)
        self._released.set()
        self._released = asyncio.Event()

    async def passed(self, registry: ModelRegistry, model: str | None, version: str | None) -> PinnedVersion:
        """The version that a request means, once it is not held. After a wait the registry is asked again.

        Raises what ModelRegistry.resolve raises.
        """
        pinned = await registry.resolve(model, version)
        while (remaining := self._remaining(pinned)) > 0:
            held = (pinned.model, pinned.version)
            self._num_held[held] = self._num_held.get(held, 0) + 1
            try:
                async with asyncio.timeout(remaining):
                    await self._released.wait()
            except TimeoutError:
                pass  # the hold was not renewed
            finally:
                self._num_held[held] -= 1
                if not self._num_held[held]:
                    del self._num_held[held]
            pinned = await registry.resolve_anew(model, version)
        return pinned

    def is_held(self, pinned: PinnedVersion) -> bool:
        return self._remaining(pinned) > 0

    def of(self, model: str, version: str) -> VersionTraffic:
        live = self._live.get((model, version), {})
        # Tickets are in the order of their start.
        oldest = time.monotonic() - next(iter(live.values())) if live else None
        return VersionTraffic(len(live), oldest, self._num_held.get((model, version), 0))

    def _remaining(self, pinned: PinnedVersion) -> float:
        return self._held_until.get((pinned.model, pinned.version), 0.0) - time.monotonic()
