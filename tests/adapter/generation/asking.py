"""A response cache, who asks it, and what runs because it has nothing."""

import time

from adapter.call import Call
from adapter.generation.response_cache import ResponseCache
from adapter.schema import DoneEvent, GenerationRequest, GenerationResponse
from adapter.torchserve.served_models import PinnedVersion
from tests.adapter.generation.held_generations import ANSWER, Arrivals, HeldGenerations

PINNED = PinnedVersion("tiny", "1.0", 4, frozenset({(11, "noon")}))
ASKED = GenerationRequest(prompt="Once", temperature=0, model="tiny", model_version="1.0")


def call(request_id: str = "mine", **about: object) -> Call:
    return Call(request_id, time.monotonic(), **about)


async def collect(arrivals: Arrivals) -> list[object]:
    return [event async for events in arrivals for event in events]


class Asking:
    """A cache, and all that runs because it has nothing."""

    def __init__(self, cache: ResponseCache) -> None:
        self.cache = cache
        self.source = HeldGenerations()

    def stream(self, asked: GenerationRequest = ASKED, of: Call | None = None, at: PinnedVersion = PINNED) -> Arrivals:
        return self.cache.stream(at, asked, of or call(), self.source.run)

    async def answer(
        self, asked: GenerationRequest = ASKED, of: Call | None = None, at: PinnedVersion = PINNED
    ) -> GenerationResponse:
        """With as much to give as one more run takes."""
        self.source.give(*ANSWER)
        num_started = self.source.num_started
        events = await collect(self.stream(asked, of, at))
        if self.source.num_started == num_started:
            for _ in ANSWER:
                self.source._steps.get_nowait()
        assert isinstance(events[-1], DoneEvent)
        return events[-1].response
