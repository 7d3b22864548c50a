"""A text generator over what stands in for TorchServe, and what its tests ask it."""

import asyncio
import time
from collections.abc import AsyncIterator

from adapter.call import Call
from adapter.generation.admission import Admission
from adapter.generation.canary import Canaries
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.response_cache import ResponseCache
from adapter.generation.retry_budget import RetryBudget
from adapter.generation.text_generator import TextGenerator
from adapter.generation.traffic import Traffic
from adapter.schema import DeltaEvent, GenerationRequest, StartEvent
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

REQUEST = GenerationRequest(prompt="Once")
START = StartEvent(id="request-1", model="tiny", model_version="1.0", model_digest="1f", prompt_tokens=3)
FIRST = DeltaEvent(index=0, text="Hello")


def call(**limits: float) -> Call:
    now = time.monotonic()
    return Call("request-1", now, **{name: now + seconds for name, seconds in limits.items()})


def make_generator(
    management: FakeManagement,
    inference: FakeInference,
    *,
    max_waiting: int = 8,
    max_live: int = 8,
    retry_delay: float = 0.001,
    traffic: Traffic | None = None,
    canaries: Canaries | None = None,
    cache: ResponseCache | None = None,
    max_continuations: int = 2,
) -> TextGenerator:
    return TextGenerator(
        ModelRegistry(management, None),
        inference,
        admission=Admission(max_waiting),
        cache=cache or ResponseCache(),
        rate_limiter=RateLimiter(None),
        retry_budget=RetryBudget(first_delay=retry_delay),
        traffic=traffic or Traffic(),
        canaries=canaries or Canaries(),
        max_live=max_live,
        max_continuations=max_continuations,
    )


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def take_all(arrivals: AsyncIterator[object]) -> None:
    async for _ in arrivals:
        pass
