import asyncio

import pytest

from adapter.errors import (
    GenerationFailed,
    ModelNotReady,
    TorchbridgeError,
    UpstreamLost,
    UpstreamUnavailable,
    WorkerDied,
    WorkerSilent,
)
from adapter.generation.text_generator import TextGenerator
from adapter.schema import GenerationResponse, StreamEvent, WorkerRequest
from tests.adapter.generation.generators import FIRST, REQUEST, START, call, make_generator
from tests.fakes import FakeInference, FakeManagement, answer_to


def answer_to_request() -> list[StreamEvent]:
    asked = {**dict(REQUEST), "id": "request-1", "model": "tiny", "model_version": "1.0"}
    return answer_to(WorkerRequest.model_validate(asked), "Hello", " world")


def fail_with(inference: FakeInference, *failures: TorchbridgeError) -> None:
    """One after the other, and then answer."""
    remaining = list(failures)

    async def fail() -> None:
        failure = remaining.pop(0)
        if not remaining:
            inference.script = None
        raise failure

    inference.script = [fail]


def die_once_after(inference: FakeInference, *events: StreamEvent) -> None:
    """And then answer."""

    async def die() -> None:
        inference.script = answer_to_request()
        raise WorkerDied("died")

    inference.script = [*events, die]


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([WorkerDied("x")], id="one death"),
        pytest.param([UpstreamUnavailable("x"), UpstreamUnavailable("x")], id="twice no server"),
        pytest.param([WorkerDied("x"), ModelNotReady("x")], id="a death, and the next worker still loads"),
        pytest.param([WorkerSilent("x")], id="a worker that stands still"),
        pytest.param([WorkerSilent("x"), WorkerDied("x")], id="a worker that stands still, and is killed for it"),
    ],
)
async def test_a_failure_that_may_pass_is_tried_again(
    generator: TextGenerator, inference: FakeInference, failures: list[TorchbridgeError]
) -> None:
    fail_with(inference, *failures)

    assert isinstance(await generator.complete(REQUEST, call()), GenerationResponse)
    assert len(inference.requests) == len(failures) + 1


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([WorkerDied("x"), WorkerDied("x")], id="at once"),
        pytest.param([WorkerDied("x"), UpstreamUnavailable("x"), WorkerDied("x")], id="with another failure between"),
        pytest.param([UpstreamLost("x"), WorkerDied("x")], id="first with all of TorchServe"),
    ],
)
async def test_what_was_there_at_two_deaths_is_not_tried_again_by_anybody(
    generator: TextGenerator, inference: FakeInference, failures: list[TorchbridgeError]
) -> None:
    fail_with(inference, *failures)
    with pytest.raises(WorkerDied) as death:
        await generator.complete(REQUEST, call())
    problem = death.value.to_problem("request-1")

    assert len(inference.requests) == len(failures)
    assert (problem.status, problem.retryable, problem.retry_after) == (502, False, None)


async def test_what_was_twice_with_a_worker_that_stood_still_is_not_tried_again(
    generator: TextGenerator, inference: FakeInference
) -> None:
    fail_with(inference, WorkerSilent("x"), WorkerSilent("x"))
    with pytest.raises(WorkerSilent):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 2


async def test_one_death_may_be_tried_again_by_the_caller(management: FakeManagement, inference: FakeInference) -> None:
    generator = make_generator(management, inference, retry_delay=60)
    inference.script = [WorkerDied("died")]
    with pytest.raises(WorkerDied) as death:
        await generator.complete(REQUEST, call(deadline=30))

    assert death.value.to_problem().retryable


@pytest.mark.parametrize("death", [WorkerDied("x"), UpstreamLost("x")], ids=["of its worker", "of TorchServe"])
async def test_all_who_were_there_at_a_death_are_tried_again_however_many(
    management: FakeManagement, inference: FakeInference, death: TorchbridgeError
) -> None:
    generator = make_generator(management, inference, max_waiting=64, max_live=64)
    deaths = [death] * 64

    async def die_once() -> None:
        if deaths:
            raise deaths.pop()

    inference.script = [die_once, *answer_to_request()]
    answers = await asyncio.gather(*(generator.complete(REQUEST, call()) for _ in range(64)))

    assert {answer.text for answer in answers} == {"Hello world"}
    assert len(inference.requests) == 128


async def test_refusals_of_all_together_have_a_budget(management: FakeManagement, inference: FakeInference) -> None:
    generator = make_generator(management, inference, max_waiting=64, max_live=64)
    inference.script = [UpstreamUnavailable("down")]
    failures = await asyncio.gather(*(generator.complete(REQUEST, call()) for _ in range(64)), return_exceptions=True)

    assert all(isinstance(failure, UpstreamUnavailable) for failure in failures)
    assert len(inference.requests) < 64 + 20


async def test_a_third_retry_is_not_made(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [UpstreamUnavailable("gone")]
    with pytest.raises(UpstreamUnavailable):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 3


async def test_a_unary_answer_is_tried_again_after_text_that_its_caller_has_not_had(
    generator: TextGenerator, inference: FakeInference
) -> None:
    die_once_after(inference, START, FIRST)
    assert (await generator.complete(REQUEST, call())).text == "Hello world"


async def test_a_stream_is_tried_again_before_its_first_text_and_begins_once(
    generator: TextGenerator, inference: FakeInference
) -> None:
    die_once_after(inference, START)
    events = [event async for events in generator.stream(REQUEST, call()) for event in events]
    assert events[0].type == "start"
    assert events[1:] == answer_to_request()[1:]


async def test_a_stream_is_not_tried_again_after_text(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, FIRST, WorkerDied("died")]
    arrivals = generator.stream(REQUEST, call())
    assert [event.type for event in await anext(arrivals)] == ["start", "delta"]
    with pytest.raises(WorkerDied):
        await anext(arrivals)
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
