"""Deterministic requests that equal an earlier one, or one that runs right now, get its answer."""

import hashlib
from collections.abc import Callable
from contextlib import aclosing
from typing import NamedTuple, Self

from cachetools import LRUCache
from pydantic import ValidationError

from adapter.call import Arrivals, Call
from adapter.generation.broadcast import Broadcast
from adapter.generation.response_store import ResponseStore
from adapter.generation.reused_answer import StoredAnswer, readdressed
from adapter.schema import GenerationRequest, GenerationResponse, StartEvent
from adapter.torchserve.served_models import PinnedVersion

_REMEMBERED_DIGESTS = 256


class _Question(NamedTuple):
    pinned: PinnedVersion
    digest: str  # of the caller and of all that was asked
    is_streamed: bool


class ResponseCache:
    """It is open inside of `async with`. Without a store every request runs.

    An answer is kept under the archive that gave it, which only the worker knows. So nothing is found before these very
    workers have named their archive, in the answer to any request.
    """

    def __init__(self, store: ResponseStore | None = None) -> None:
        self._store = store
        self._archives: LRUCache[PinnedVersion, str] = LRUCache(_REMEMBERED_DIGESTS)
        self._runs: dict[_Question, Broadcast] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for run in list(self._runs.values()):
            await run.stop()
        if self._store is not None:
            await self._store.aclose()

    def stream(
        self, pinned: PinnedVersion, request: GenerationRequest, call: Call, run: Callable[[], Arrivals]
    ) -> Arrivals:
        """The events of `run`, or equal ones; `call.cache` says which before the first event."""
        if self._store is None or not is_deterministic(request):
            call.cache.status = "fwd=bypass"
        elif not call.may_use_cache:
            call.cache.status = "fwd=request"
        else:
            return self._answer(self._store, _question(pinned, request, call), call, run)
        return run() if self._store is None or pinned in self._archives else self._learn(pinned, run())

    async def _answer(
        self, store: ResponseStore, question: _Question, call: Call, run: Callable[[], Arrivals]
    ) -> Arrivals:
        with call.timeline.phase("cache") as look_up:
            stored = await self._find(store, question)
        if stored:
            look_up.note = "hit"
            call.cache.age = int(stored.age)
            call.cache.status = f"hit; ttl={int(store.max_age) - call.cache.age}"
            yield stored.events(call)
            return
        # From here to the first read nothing waits: no two start the same run, and nobody joins one that was left.
        broadcast = self._runs.get(question)
        if broadcast is not None and broadcast.can_be_joined:
            look_up.note = "collapsed"
            call.cache.status = "fwd=miss; collapsed"
            arrivals = readdressed(broadcast.read(), call)
        else:
            look_up.note = "miss"
            call.cache.status = "fwd=miss"
            arrivals = self._start(store, question, run()).read()
        async with aclosing(arrivals):
            async for events in arrivals:
                yield events

    async def _find(self, store: ResponseStore, question: _Question) -> StoredAnswer | None:
        archive = self._archives.get(question.pinned)
        content = None if archive is None else await store.get(_key(question, archive))
        if content is None:
            return None
        try:
            stored = StoredAnswer.model_validate_json(content)
        except ValidationError:
            return None
        of = (stored.response.model, stored.response.model_version, stored.response.model_digest)
        is_right = of == (question.pinned.model, question.pinned.version, archive)
        return stored if is_right and stored.age <= store.max_age else None

    def _start(self, store: ResponseStore, question: _Question, arrivals: Arrivals) -> Broadcast:
        async def keep(response: GenerationResponse) -> None:
            await store.put(_key(question, response.model_digest), StoredAnswer.of(response))

        broadcast = self._runs[question] = Broadcast(self._learn(question.pinned, arrivals), keep)
        broadcast.task.add_done_callback(lambda _: self._forget(question, broadcast))
        return broadcast

    def _forget(self, question: _Question, broadcast: Broadcast) -> None:
        if self._runs.get(question) is broadcast:
            del self._runs[question]

    async def _learn(self, pinned: PinnedVersion, arrivals: Arrivals) -> Arrivals:
        async with aclosing(arrivals):
            async for events in arrivals:
                if isinstance(events[0], StartEvent):
                    self._archives[pinned] = events[0].model_digest
                yield events


def is_deterministic(request: GenerationRequest) -> bool:
    return request.temperature == 0 or request.seed is not None


def _question(pinned: PinnedVersion, request: GenerationRequest, call: Call) -> _Question:
    # Callers share nothing: how fast an answer comes would tell one what another has asked.
    # A model that the caller named and the default one, where they are the same, are one question.
    asked = request.model_dump_json(exclude={"model", "model_version", "prompt"})
    digest = hashlib.sha256(f"{call.caller}\0{pinned.model}\0{pinned.version}\0{asked}\0".encode())
    digest.update(request.prompt.encode())  # a million characters as JSON take longer than their hash
    return _Question(pinned, digest.hexdigest(), call.is_streamed)


def _key(question: _Question, archive: str) -> str:
    return hashlib.sha256(f"{question.digest}{archive}".encode()).hexdigest()
