"""A model whose new version 2.0 is tried out beside the default 1.0, each with a script of its own."""

import time
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from adapter.call import Call
from adapter.generation.canary import Canaries, Canary
from adapter.generation.canary_rule import Rule
from adapter.generation.text_generator import TextGenerator
from adapter.generation.traffic import Traffic
from adapter.schema import GenerationRequest, StreamEvent
from tests.adapter.generation.generators import make_generator
from tests.fakes import FakeInference, FakeManagement

REQUEST = GenerationRequest(prompt="Once")


def call(**about: object) -> Call:
    return Call("request-1", time.monotonic(), **about)


def hurried_call(seconds: float) -> Call:
    """Whose caller has set the limit, and not the operator."""
    now = time.monotonic()
    return Call("request-1", now, deadline=now + seconds, asked_deadlines=frozenset({now + seconds}))


def limited_call(seconds: float) -> Call:
    now = time.monotonic()
    return Call("request-1", now, deadline=now + seconds)


@dataclass
class ScriptedVersions(FakeInference):
    scripts: dict[str, list[object]] = field(default_factory=dict)

    async def stream(self, request: GenerationRequest, call: Call) -> AsyncGenerator[list[StreamEvent], None]:
        self.requests.append(request)
        of_version = FakeInference(self.scripts.get(request.model_version))
        try:
            async for events in of_version.stream(request, call):
                yield events
        finally:
            self.num_closed += 1


class TwoVersions:
    def __init__(self, **about: object) -> None:
        self.management = FakeManagement({"tiny": {"1.0": 1, "2.0": 1}})
        self.inference = ScriptedVersions()
        self.traffic = Traffic()
        self.canaries = Canaries()
        self.generator: TextGenerator = make_generator(
            self.management, self.inference, traffic=self.traffic, canaries=self.canaries, **about
        )

    def begin(
        self, share: float = 1.0, *, seconds: float = 60, max_slowdown: float | None = None, **about: object
    ) -> Canary:
        options = {"is_sticky": False, "is_shadow": False, "rule": Rule(max_slowdown=max_slowdown)} | about
        canary = Canary("tiny", "2.0", "1.0", share, **options)
        self.canaries.begin(canary, seconds)
        return canary

    async def version_of(self, request: GenerationRequest = REQUEST, of: Call | None = None) -> str:
        return (await self.generator.complete(request, of or call())).model_version

    async def versions_of(self, num_requests: int, of: Call | None = None) -> Counter[str]:
        return Counter([await self.version_of(of=of) for _ in range(num_requests)])
