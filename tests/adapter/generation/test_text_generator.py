import asyncio
import time
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
    WorkerDied,
)
from adapter.generation.admission import Admission
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.response_cache import ResponseCache
from adapter.generation.retry_budget import RetryBudget
from adapter.generation.text_generator import TextGenerator
from adapter.schema import DeltaEvent, GenerationRequest, GenerationResponse, StartEvent
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, wait_for

REQUEST = GenerationRequest(prompt="Once")
START = StartEvent(id="request-1", model="tiny", model_version="1.0", model_digest="1f", prompt_tokens=3)
FIRST = DeltaEvent(index=0, text="Hello")


def call(**limits: float) -> Call:
    now = time.monotonic()
    return Call("request-1", now, **{name: now + seconds for name, seconds in limits.items()})


def make_generator(
    management: FakeManagement, inference: FakeInference, *, max_waiting: int = 8, max_live: int = 8
) -> TextGenerator:
    return TextGenerator(
        ModelRegistry(management, None),
        inference,
        admission=Admission(max_waiting),
        cache=ResponseCache(),
        rate_limiter=RateLimiter(None),
        retries=RetryBudget(first_delay=0.001),
        max_live=max_live,
    )


@pytest.fixture
def generator(management: FakeManagement, inference: FakeInference) -> TextGenerator:
    return make_generator(management, inference)


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


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
