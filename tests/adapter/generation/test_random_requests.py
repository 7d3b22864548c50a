"""Thousands of requests of every kind and fate, through all that is between HTTP and TorchServe."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from math import inf

from adapter.call import Call
from adapter.errors import TorchbridgeError, UpstreamUnavailable
from adapter.event_stream import EventDecoder
from adapter.generation.admission import Admission
from adapter.generation.batch import complete_batch
from adapter.generation.canary import Canaries, Canary
from adapter.generation.pinning import Pin
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import MemoryStore
from adapter.generation.retry_budget import RetryBudget
from adapter.generation.text_generator import TextGenerator
from adapter.generation.traffic import Traffic
from adapter.http.event_stream_response import EventStreamResponse
from adapter.http.shutdown import Shutdown
from adapter.schema import (
    BatchRequest,
    DeltaEvent,
    DoneEvent,
    ErrorCode,
    ErrorEvent,
    GenerationRequest,
    Problem,
    StartEvent,
    StreamEvent,
)
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import NO_WORKER_OR_QUEUE_FULL, FakeKeys, FakeManagement, FakeTorchServe, Turn, answer_to, wait_for

NUM_CALLERS = 48
REQUESTS_OF_EACH = 50

chance = random.Random(20_261_123)


async def nap() -> None:
    await asyncio.sleep(chance.choice((0, 0, 0.001, 0.01)))


# What TorchServe does with a request


async def answer(turn: Turn) -> None:
    for event in events_of(turn):
        await turn.send(event)
        await nap()


async def answer_in_one_piece(turn: Turn) -> None:
    await turn.send(*events_of(turn))


async def end_without_an_end(turn: Turn) -> None:
    await turn.send(*events_of(turn)[:-1])


async def reset(turn: Turn) -> None:
    turn.reset()
    await turn.wait_until_the_caller_leaves()


async def reset_in_mid_stream(turn: Turn) -> None:
    await turn.send(*events_of(turn)[:2])
    await reset(turn)


async def hang_in_mid_stream(turn: Turn) -> None:
    await turn.send(*events_of(turn)[:2])
    await turn.wait_until_the_caller_leaves()


async def be_full(turn: Turn) -> None:
    await turn.fail(503, "ServiceUnavailableException", NO_WORKER_OR_QUEUE_FULL)


async def have_no_such_version(turn: Turn) -> None:
    await turn.fail(404, "ModelVersionNotFoundException", "Model version: 1.0 does not exist for model: tiny")


async def fail(turn: Turn) -> None:
    await turn.fail(503, "InternalServerException", "Prediction failed")


async def report_an_error(turn: Turn) -> None:
    problem = Problem.of(ErrorCode.GENERATION_FAILED, "It failed.")
    await turn.send(*events_of(turn)[: chance.randint(1, 2)], ErrorEvent(problem=problem))


async def talk_nonsense(turn: Turn) -> None:
    await turn.send(b"data: nonsense\n\n")


Fate = Callable[[Turn], Awaitable[None]]
FATES: dict[Fate, int] = {
    answer: 60,
    answer_in_one_piece: 30,
    end_without_an_end: 2,
    reset: 4,
    reset_in_mid_stream: 3,
    hang_in_mid_stream: 2,
    Turn.wait_until_the_caller_leaves: 2,
    be_full: 3,
    have_no_such_version: 2,
    fail: 3,
    report_an_error: 3,
    talk_nonsense: 2,
}


def events_of(turn: Turn) -> list[StreamEvent]:
    return answer_to(turn.request, *["word "] * (len(turn.request.prompt) % 5))


async def play(turn: Turn) -> None:
    (fate,) = chance.choices(list(FATES), list(FATES.values()))
    await fate(turn)


SERVED = [*[{"1.0": 1}] * 4, *[{"1.0": 2}] * 4, *[{"2.0": 1, "1.0": 1}] * 4, *[{"1.0": 1, "2.0": 1}] * 4, {"1.0": 0}]


async def operate(torchserve: FakeTorchServe, management: FakeManagement, canaries: Canaries) -> None:
    """Versions come, are tried out and go, workers load, keys change, and the management API has its moments."""
    while True:
        await asyncio.sleep(0.02)
        management.slots = chance.randint(4, 12)
        management.served["tiny"] = chance.choice(SERVED)
        management.failure = UpstreamUnavailable("no management") if chance.random() < 0.1 else None
        if chance.random() < 0.2:
            torchserve.key = f"rotated-{chance.random()}"
        if canaries.of("tiny") is None:
            is_shadow = chance.random() < 0.5
            canaries.begin(Canary("tiny", "2.0", "1.0", 0.5, is_sticky=False, is_shadow=is_shadow), 0.1)


# What callers do


class CountingGenerator(TextGenerator):
    num_begun = 0

    @contextmanager
    def _live(self, request: GenerationRequest, call: Call) -> Iterator[Pin]:
        self.num_begun += 1
        with super()._live(request, call) as pin:
            yield pin


class Reader:
    """The ASGI server's side of one stream, with a caller that may be slow, and may leave."""

    def __init__(self) -> None:
        self.body = b""
        self.is_over = False
        self.leaves = asyncio.Event()
        self.is_slow = chance.random() < 0.2

    async def receive(self) -> dict[str, str]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, object]) -> None:
        if self.is_slow:
            await nap()
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


def some_request() -> GenerationRequest:
    return GenerationRequest(prompt="x" * chance.randint(1, 400), temperature=chance.choice((0, 1)))


def some_call(request_id: str) -> Call:
    now = time.monotonic()
    limits = [now + chance.uniform(0, 0.3) if chance.random() < 0.2 else inf for _ in range(2)]
    return Call(request_id, now, *limits, may_use_cache=chance.random() < 0.9)


async def ask_for_a_whole_answer(generator: TextGenerator, call: Call) -> str:
    response = await generator.complete(some_request(), call)
    assert response.id == call.request_id
    return "answer"


async def ask_for_a_batch(generator: TextGenerator, call: Call) -> str:
    batch = BatchRequest(requests=tuple(dict(some_request()) for _ in range(chance.randint(1, 5))))
    results = (await complete_batch(generator, batch, call, max_requests=5)).results
    assert len(results) == len(batch.requests)
    return "batch"


async def ask_for_a_stream(generator: TextGenerator, call: Call) -> str:
    reader = Reader()
    if chance.random() < 0.2:
        asyncio.get_running_loop().call_later(chance.uniform(0, 0.2), reader.leaves.set)
    response = EventStreamResponse(generator.stream(some_request(), call), call, Shutdown(), heartbeat=0.005)
    try:
        await response({}, reader.receive, reader.send)
    finally:
        end = reader.check()
    return end


async def call_again_and_again(generator: TextGenerator, name: str, ends: Counter[str]) -> None:
    asks = (ask_for_a_whole_answer, ask_for_a_stream, ask_for_a_stream, ask_for_a_batch)
    for number in range(REQUESTS_OF_EACH):
        asking = asyncio.create_task(chance.choice(asks)(generator, some_call(f"{name}-{number}")))
        if chance.random() < 0.1:
            asyncio.get_running_loop().call_later(chance.uniform(0, 0.2), asking.cancel)
        await asyncio.wait({asking})
        if asking.cancelled():
            ends["cancelled"] += 1
        elif error := asking.exception():
            assert isinstance(error, TorchbridgeError), error
            ends[error.code] += 1
            await asyncio.sleep(0.05)  # else a model that loads would be most of what they see
        else:
            ends[asking.result()] += 1


@asynccontextmanager
async def going_on(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_whatever_happens_to_them_requests_leave_nothing_behind() -> None:
    management, ends = FakeManagement(slots=8), Counter[str]()
    registry = ModelRegistry(management, None)
    registry._models._refresh_after = 0.01
    admission, cache = Admission(max_waiting=24), ResponseCache(MemoryStore(2**20, max_age=60))
    traffic, canaries = Traffic(), Canaries()
    async with FakeTorchServe(play) as torchserve:
        settings = Settings(torchserve_url=torchserve.url, silence_timeout=0.1)
        inference = InferenceClient(settings, FakeKeys(torchserve), registry.resolve_anew)
        generator = CountingGenerator(
            registry,
            inference,
            admission=admission,
            cache=cache,
            rate_limiter=RateLimiter(None),
            retries=RetryBudget(first_delay=0.001),
            traffic=traffic,
            canaries=canaries,
            max_live=70,
        )
        async with inference, cache, generator.shadows, going_on(operate(torchserve, management, canaries)):
            await asyncio.gather(
                *(call_again_and_again(generator, f"caller-{number}", ends) for number in range(NUM_CALLERS))
            )
            connector = inference._session.connector
            await wait_for(lambda: not cache._runs and not generator.shadows._tasks)
            await wait_for(lambda: not connector._acquired)
        assert ends.total() == NUM_CALLERS * REQUESTS_OF_EACH
        assert {"answer", "batch", "DoneEvent", "ErrorEvent", "left", "cancelled", ErrorCode.OVERLOADED} <= set(ends)
        assert generator._num_live == admission.num_waiting() == 0
        assert not traffic._live
        assert not traffic._num_held
        assert all(line.slots.borrowed_tokens == 0 for line in admission._lines.values())
        metrics = generator.metrics
        counted = (sample for name in (metrics._answers, metrics._failures) for sample in name.collect()[0].samples)
        assert sum(sample.value for sample in counted if sample.name.endswith("_total")) == generator.num_begun
        await wait_for(lambda: asyncio.all_tasks() == {asyncio.current_task()})
