"""Thousands of requests of every kind and fate, through all that is between HTTP and TorchServe."""

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from math import inf

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapter.call import Arrivals, Call
from adapter.errors import Overloaded, TorchbridgeError, UpstreamUnavailable
from adapter.event_stream import EventDecoder
from adapter.generation.admission import Admission
from adapter.generation.batch import complete_batch
from adapter.generation.canary import Canaries, Canary
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import MemoryStore
from adapter.generation.retry_budget import RetryBudget
from adapter.generation.text_generator import TextGenerator
from adapter.generation.traffic import Traffic
from adapter.http.event_stream_response import EventStreamResponse, NativeEncoding
from adapter.http.shutdown import Shutdown
from adapter.schema import (
    BatchRequest,
    DeltaEvent,
    DoneEvent,
    ErrorCode,
    ErrorEvent,
    GenerationRequest,
    StartEvent,
)
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.generation.fates import Fates, chance_of, nap
from tests.fakes import FakeKeys, FakeManagement, FakeTorchServe, Turn, wait_for

NUM_CALLERS = 48
REQUESTS_OF_EACH = 50 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 20
MOST_OF_EACH = 1_000  # should an end be longer in coming, something is wrong
ENDS = {"answer", "batch", "DoneEvent", "ErrorEvent", "left", "cancelled", ErrorCode.OVERLOADED}
SLOTS, MAX_WAITING, MAX_LIVE = 8, 24, 70
SERVED = [*[{"1.0": 1}] * 4, *[{"1.0": 2}] * 4, *[{"2.0": 1, "1.0": 1}] * 4, *[{"1.0": 1, "2.0": 1}] * 4, {"1.0": 0}]


@pytest.fixture(autouse=True)
def _notices_changes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.torchserve.model_registry._REFRESH_AFTER", 0.01)


async def operate(torchserve: FakeTorchServe, management: FakeManagement, canaries: Canaries) -> None:
    """Versions come, are tried out and go, workers load, keys change, and the management API has its moments."""
    for step in itertools.count():
        await asyncio.sleep(0.02)
        chance = chance_of("operator", step)
        management.slots = chance.randint(4, 12)
        management.served["tiny"] = chance.choice(SERVED)
        management.failure = UpstreamUnavailable("no management") if chance.random() < 0.1 else None
        if chance.random() < 0.2:
            torchserve.key = f"rotated-{step}"
        if canaries.of("tiny") is None:
            is_shadow = chance.random() < 0.5
            canaries.begin(Canary("tiny", "2.0", "1.0", 0.5, is_sticky=False, is_shadow=is_shadow), 0.1)


def calm_down(torchserve: FakeTorchServe, management: FakeManagement, canaries: Canaries) -> None:
    management.slots, management.served["tiny"], management.failure = SLOTS, {"1.0": 1}, None
    torchserve.play = Turn.wait_until_the_caller_leaves
    if canary := canaries.of("tiny"):
        canaries.end(canary.id)


# What callers do


class CountingGenerator(TextGenerator):
    num_begun = 0

    async def stream(self, request: GenerationRequest, call: Call) -> Arrivals:
        self.num_begun += 1
        async with aclosing(super().stream(request, call)) as arrivals:
            async for events in arrivals:
                yield events


class Reader:
    """The ASGI server's side of one stream, with a caller that may be slow, and may leave."""

    def __init__(self, chance: random.Random) -> None:
        self.body = b""
        self.is_over = False
        self.leaves = asyncio.Event()
        self._chance = chance
        self._is_slow = chance.random() < 0.2

    async def receive(self) -> dict[str, str]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, object]) -> None:
        if self._is_slow:
            await nap(self._chance)
        self.body += message.get("body", b"")
        self.is_over = self.is_over or not message.get("more_body", True)

    def check(self) -> str:
        """The type of the stream's last event, if it is over; a caller that left has a beginning of it."""
        types = []
        num_deltas = 0
        for event in EventDecoder().feed(self.body):
            types.append(type(event))
            if isinstance(event, DeltaEvent):
                assert event.index == num_deltas
                num_deltas += 1
        assert types[:1] in ([], [StartEvent])
        assert all(kind is DeltaEvent for kind in types[1:-1])
        if not self.is_over:
            assert ErrorEvent not in types
            return "left"
        assert types[-1] in (DoneEvent, ErrorEvent)
        return types[-1].__name__


def some_request(chance: random.Random) -> GenerationRequest:
    return GenerationRequest(prompt="x" * chance.randint(1, 400), temperature=chance.choice((0, 1)))


def some_call(request_id: str, chance: random.Random) -> Call:
    now = time.monotonic()
    limits = [now + chance.uniform(0, 0.3) if chance.random() < 0.2 else inf for _ in range(2)]
    return Call(request_id, now, *limits, may_use_cache=chance.random() < 0.9)


async def ask_for_a_whole_answer(generator: TextGenerator, call: Call, chance: random.Random) -> str:
    response = await generator.complete(some_request(chance), call)
    assert response.id == call.request_id
    return "answer"


async def ask_for_a_batch(generator: TextGenerator, call: Call, chance: random.Random) -> str:
    batch = BatchRequest(requests=tuple(dict(some_request(chance)) for _ in range(chance.randint(1, 5))))
    results = (await complete_batch(generator, batch, call, max_requests=5)).results
    assert len(results) == len(batch.requests)
    return "batch"


async def ask_for_a_stream(generator: TextGenerator, call: Call, chance: random.Random) -> str:
    reader = Reader(chance)
    if chance.random() < 0.2:
        asyncio.get_running_loop().call_later(chance.uniform(0, 0.2), reader.leaves.set)
    arrivals = generator.stream(some_request(chance), call)
    try:
        await EventStreamResponse(arrivals, call, Shutdown(), heartbeat=0.005, encoding=NativeEncoding())(
            {}, reader.receive, reader.send
        )
    finally:
        end = reader.check()
    return end


async def call_again_and_again(generator: TextGenerator, name: str, ends: Counter[str]) -> None:
    """Until all have called often enough, and there has been every end."""
    asks = (ask_for_a_whole_answer, ask_for_a_stream, ask_for_a_stream, ask_for_a_batch)
    for number in range(MOST_OF_EACH):
        if number >= REQUESTS_OF_EACH and ends.keys() >= ENDS:
            return
        request_id = f"{name}-{number}"
        chance = chance_of("caller", request_id)
        asking = asyncio.create_task(chance.choice(asks)(generator, some_call(request_id, chance), chance))
        if chance.random() < 0.1:
            asyncio.get_running_loop().call_later(chance.uniform(0, 0.2), asking.cancel)
        await asyncio.wait({asking})
        if asking.cancelled():
            ends["cancelled"] += 1
        elif error := asking.exception():
            assert isinstance(error, TorchbridgeError), (request_id, error)
            ends[error.code] += 1
            await asyncio.sleep(0.05)  # else a model that loads would be most of what they see
        else:
            ends[asking.result()] += 1
    raise AssertionError(f"no request ended with {ENDS - ends.keys()}")


@asynccontextmanager
async def going_on(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def nothing_goes_on(torchserve: FakeTorchServe) -> None:
    await wait_for(lambda: asyncio.all_tasks() == {asyncio.current_task()} and not torchserve.num_connections)


async def check_that_all_places_are_free(generator: TextGenerator, torchserve: FakeTorchServe) -> None:
    """As many run and wait as may, and one more is refused."""
    num_before = len(torchserve.turns)
    calls = [Call(f"last-{number}", time.monotonic()) for number in range(SLOTS + MAX_WAITING)]
    request = GenerationRequest(prompt="Once", temperature=1)
    running = [asyncio.create_task(generator.complete(request, call)) for call in calls]
    await wait_for(lambda: len(torchserve.turns) == num_before + SLOTS and is_counted(generator, MAX_WAITING))
    with pytest.raises(Overloaded):
        await generator.complete(request, Call("one more", time.monotonic()))
    for each in running:
        each.cancel()
    await asyncio.wait(running)


def is_counted(generator: TextGenerator, num_waiting: int) -> bool:
    return num_of(generator, "torchbridge_waiting_requests") == num_waiting


def num_of(generator: TextGenerator, name: str) -> float:
    families = text_string_to_metric_families(generator.metrics.render().decode())
    return sum(each.value for family in families for each in family.samples if each.name == name)


async def test_whatever_happens_to_them_requests_leave_nothing_behind() -> None:
    management, ends = FakeManagement(slots=SLOTS), Counter[str]()
    registry = ModelRegistry(management, None)
    admission, cache = Admission(MAX_WAITING), ResponseCache(MemoryStore(2**20, max_age=60))
    traffic, canaries = Traffic(), Canaries()
    async with FakeTorchServe(Fates().play) as torchserve:
        settings = Settings(torchserve_url=torchserve.url, silence_timeout=0.1)
        inference = InferenceClient(settings, FakeKeys(torchserve), registry.resolve_anew, registry.wait_for_comeback)
        generator = CountingGenerator(
            registry,
            inference,
            admission=admission,
            cache=cache,
            rate_limiter=RateLimiter(None),
            retry_budget=RetryBudget(first_delay=0.001),
            traffic=traffic,
            canaries=canaries,
            max_live=MAX_LIVE,
            max_continuations=2,
        )
        async with inference, cache, generator.shadows:
            async with going_on(operate(torchserve, management, canaries)):
                await asyncio.gather(
                    *(call_again_and_again(generator, f"caller-{number}", ends) for number in range(NUM_CALLERS))
                )
            await nothing_goes_on(torchserve)
            calm_down(torchserve, management, canaries)
            await registry.served_anew()
            for version in ("1.0", "2.0"):
                assert admission.queue("tiny", version) == (0, 0)
                assert traffic.of("tiny", version) == (0, None, 0)
            await check_that_all_places_are_free(generator, torchserve)
            await nothing_goes_on(torchserve)
        assert num_of(generator, "torchbridge_live_requests") == 0
        counted = ("torchbridge_answers_total", "torchbridge_failures_total")
        assert sum(num_of(generator, name) for name in counted) == generator.num_begun
        assert asyncio.all_tasks() == {asyncio.current_task()}
