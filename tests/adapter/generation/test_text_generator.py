import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from adapter.call import Call
from adapter.errors import (
    DeadlineExceeded,
    GenerationFailed,
    ModelNotFound,
    ModelNotReady,
    Overloaded,
    TorchbridgeError,
    UpstreamProtocol,
    UpstreamUnavailable,
    VersionNotFound,
    WorkerDied,
)
from adapter.generation.admission import Admission
from adapter.generation.canary import Canaries
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.response_cache import ResponseCache
from adapter.generation.retry_budget import RetryBudget
from adapter.generation.text_generator import TextGenerator
from adapter.generation.traffic import Traffic
from adapter.schema import DeltaEvent, DoneEvent, GenerationRequest, GenerationResponse, StartEvent
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, wait_for

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
) -> TextGenerator:
    return TextGenerator(
        ModelRegistry(management, None),
        inference,
        admission=Admission(max_waiting),
        cache=cache or ResponseCache(),
        rate_limiter=RateLimiter(None),
        retries=RetryBudget(first_delay=retry_delay),
        traffic=traffic or Traffic(),
        canaries=canaries or Canaries(),
        max_live=max_live,
    )


@pytest.fixture
def generator(management: FakeManagement, inference: FakeInference) -> TextGenerator:
    return make_generator(management, inference)


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def take_all(arrivals: AsyncIterator[object]) -> None:
    async for _ in arrivals:
        pass


async def test_pins_the_model_and_version(generator: TextGenerator, inference: FakeInference) -> None:
    await generator.complete(REQUEST, call())
    assert (inference.requests[0].model, inference.requests[0].model_version) == ("tiny", "1.0")


async def test_folds_the_events_into_one_response(generator: TextGenerator) -> None:
    response = await generator.complete(REQUEST, call())
    assert (response.text, response.id) == ("Hello world", "request-1")


async def test_an_unknown_model_never_reaches_torchserve(generator: TextGenerator, inference: FakeInference) -> None:
    with pytest.raises(ModelNotFound):
        await generator.complete(REQUEST.model_copy(update={"model": "nobody"}), call())
    assert not inference.requests


async def test_a_full_queue_is_overload(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [Overloaded("full")]
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, call())


async def test_the_same_answer_without_a_ready_worker_is_a_model_that_loads(
    generator: TextGenerator, inference: FakeInference, management: FakeManagement
) -> None:
    async def lose_the_worker() -> None:
        management.served["tiny"]["1.0"] = 0

    inference.script = [lose_the_worker, Overloaded("full")]
    with pytest.raises(ModelNotReady):
        await generator.complete(REQUEST, call())


async def test_an_answer_without_an_end_makes_no_sense(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = []
    with pytest.raises(UpstreamProtocol):
        await generator.complete(REQUEST, call())


async def test_a_stream_without_an_end_makes_no_sense(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, FIRST]
    with pytest.raises(UpstreamProtocol):
        await take_all(generator.stream(REQUEST, call()))


async def test_a_version_that_has_just_gone_makes_way_for_the_new_default(
    generator: TextGenerator, inference: FakeInference, management: FakeManagement
) -> None:
    async def be_replaced() -> None:
        management.served["tiny"] = {"2.0": 1}
        inference.script = None
        raise VersionNotFound("gone")

    await generator.complete(REQUEST, call())
    inference.script = [be_replaced]
    assert (await generator.complete(REQUEST, call())).model_version == "2.0"
    assert [request.model_version for request in inference.requests] == ["1.0", "1.0", "2.0"]


async def test_a_version_that_was_asked_for_and_has_just_gone_is_not_replaced(
    generator: TextGenerator, inference: FakeInference, management: FakeManagement
) -> None:
    async def be_replaced() -> None:
        management.served["tiny"] = {"2.0": 1}
        raise VersionNotFound("gone")

    inference.script = [be_replaced]
    with pytest.raises(VersionNotFound, match=r"Registered: 2\.0\."):
        await generator.complete(REQUEST.model_copy(update={"model_version": "1.0"}), call())
    assert len(inference.requests) == 1


async def test_a_version_that_only_its_description_knows_is_not_found(
    generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [VersionNotFound("gone")]
    with pytest.raises(VersionNotFound, match="gone"):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 1


async def test_leaving_the_stream_closes_the_one_below(generator: TextGenerator, inference: FakeInference) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as events:
        await anext(events)
    assert inference.is_closed.is_set()


# Limits


async def test_one_more_than_may_be_live_is_refused_at_once(
    management: FakeManagement, inference: FakeInference
) -> None:
    generator = make_generator(management, inference, max_live=1)
    inference.script = [wait_for_ever]
    first = asyncio.create_task(generator.complete(REQUEST, call()))
    await wait_for(lambda: inference.requests)
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, call())
    first.cancel()


async def test_a_request_that_has_ended_makes_room_for_the_next(
    management: FakeManagement, inference: FakeInference
) -> None:
    generator = make_generator(management, inference, max_live=1)
    for _ in range(3):
        assert (await generator.complete(REQUEST, call())).text == "Hello world"


async def test_only_as_many_as_the_worker_has_slots_reach_it(
    management: FakeManagement, inference: FakeInference
) -> None:
    management.slots = 2
    generator = make_generator(management, inference, max_waiting=1)
    inference.script = [wait_for_ever]
    running = [asyncio.create_task(generator.complete(REQUEST, call())) for _ in range(3)]
    await wait_for(lambda: len(inference.requests) == 2)
    with pytest.raises(Overloaded, match="1 requests are already waiting"):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 2
    running[0].cancel()
    await wait_for(lambda: len(inference.requests) == 3)
    for task in running:
        task.cancel()


async def test_one_too_many_in_the_line_is_refused_without_asking_torchserve(
    management: FakeManagement, inference: FakeInference
) -> None:
    management.slots = 1
    generator = make_generator(management, inference, max_waiting=1)
    inference.script = [wait_for_ever]
    inside = [asyncio.create_task(generator.complete(REQUEST, call())) for _ in range(2)]
    await wait_for(generator._admission.num_waiting)
    management.failure = UpstreamUnavailable("no management")
    num_listings = management.num_listings
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, call())
    assert management.num_listings == num_listings
    for task in inside:
        task.cancel()


async def test_who_has_the_last_event_holds_nothing_any_more(
    generator: TextGenerator, inference: FakeInference
) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        async for events in arrivals:
            if isinstance(events[-1], DoneEvent):
                break
        assert inference.is_closed.is_set()
        assert generator._num_live == 0


# What is counted


async def test_a_stream_that_is_left_with_its_last_event_is_an_answer(generator: TextGenerator) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        async for events in arrivals:
            if isinstance(events[-1], DoneEvent):
                break
    assert b"torchbridge_answers_total{" in generator.metrics.render()
    assert b"torchbridge_failures_total{" not in generator.metrics.render()


async def test_a_stream_that_is_left_before_is_cancelled(generator: TextGenerator) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        await anext(arrivals)
    assert (
        b'torchbridge_failures_total{code="cancelled",model="tiny",model_version="1.0"} 1.0'
        in generator.metrics.render()
    )
    assert b"torchbridge_answers_total{" not in generator.metrics.render()


async def test_a_bug_is_an_internal_failure(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [LookupError("a bug")]
    with pytest.raises(LookupError):
        await generator.complete(REQUEST, call())
    assert (
        b'torchbridge_failures_total{code="internal",model="tiny",model_version="1.0"} 1.0'
        in generator.metrics.render()
    )


# Deadlines


async def test_a_request_whose_deadline_comes_in_the_line_never_reaches_the_worker(
    management: FakeManagement, inference: FakeInference
) -> None:
    management.slots = 1
    generator = make_generator(management, inference)
    inference.script = [wait_for_ever]
    running = asyncio.create_task(generator.complete(REQUEST, call()))
    await wait_for(lambda: inference.requests)
    with pytest.raises(DeadlineExceeded, match=r"not complete within 0\.05 seconds"):
        await generator.complete(REQUEST, call(deadline=0.05))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(inference.requests) == 1


async def test_a_deadline_stops_a_running_request(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    with pytest.raises(DeadlineExceeded):
        await generator.complete(REQUEST, call(deadline=0.05))
    assert inference.is_closed.is_set()


async def test_without_a_first_text_in_time_a_request_ends(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, wait_for_ever]
    with pytest.raises(DeadlineExceeded, match="no text within"):
        await generator.complete(REQUEST, call(first_text_deadline=0.05, deadline=60))


async def test_the_limit_of_the_first_text_does_not_hold_for_the_others(
    generator: TextGenerator, inference: FakeInference
) -> None:
    limits = call(first_text_deadline=0.05, deadline=60)

    async def wait_past_the_first_limit() -> None:
        await asyncio.sleep(limits.first_text_deadline - time.monotonic() + 0.01)

    inference.script = [START, FIRST, wait_past_the_first_limit, GenerationFailed("reached")]
    with pytest.raises(GenerationFailed):
        await generator.complete(REQUEST, limits)


async def test_a_deadline_holds_for_who_takes_events_more_slowly_than_they_come(
    generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [START, *[DeltaEvent(index=index, text="x") for index in range(1_000)]]
    limits = call(deadline=0.05)
    arrivals = generator.stream(REQUEST, limits)
    await anext(arrivals)
    await asyncio.sleep(limits.deadline - time.monotonic() + 0.01)
    with pytest.raises(DeadlineExceeded):
        await anext(arrivals)
    assert inference.is_closed.is_set()


# Retries


@pytest.mark.parametrize("failure", [WorkerDied("x"), UpstreamUnavailable("x"), ModelNotReady("x")], ids=repr)
async def test_a_failure_that_may_pass_is_tried_again(
    generator: TextGenerator, inference: FakeInference, failure: TorchbridgeError
) -> None:
    attempts = 0

    async def fail_twice() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            inference.script = None
        raise failure

    inference.script = [fail_twice]
    assert isinstance(await generator.complete(REQUEST, call()), GenerationResponse)
    assert len(inference.requests) == 3


async def test_a_third_retry_is_not_made(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [WorkerDied("died")]
    with pytest.raises(WorkerDied):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 3


async def test_nothing_is_tried_again_after_text(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, FIRST, WorkerDied("died")]
    with pytest.raises(WorkerDied):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 1


@pytest.mark.parametrize("limit", ["deadline", "first_text_deadline"])
async def test_a_retry_that_would_come_too_late_is_not_made(
    management: FakeManagement, inference: FakeInference, limit: str
) -> None:
    generator = make_generator(management, inference, retry_delay=60)
    inference.script = [WorkerDied("died")]
    with pytest.raises(WorkerDied):
        await generator.complete(REQUEST, call(**{limit: 30}))
    assert len(inference.requests) == 1


async def test_other_failures_are_not_tried_again(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [GenerationFailed("no")]
    with pytest.raises(GenerationFailed):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 1


async def test_a_stream_is_not_tried_again(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [WorkerDied("died")]
    with pytest.raises(WorkerDied):
        await anext(generator.stream(REQUEST, call()))
    assert len(inference.requests) == 1
