import pytest

from adapter.errors import (
    GenerationFailed,
    ModelNotReady,
    TorchbridgeError,
    UpstreamUnavailable,
    WorkerDied,
)
from adapter.generation.text_generator import TextGenerator
from adapter.schema import GenerationResponse
from tests.adapter.generation.generators import FIRST, REQUEST, START, call, make_generator
from tests.fakes import FakeInference, FakeManagement


def fail_with(inference: FakeInference, *failures: TorchbridgeError) -> None:
    """One after the other, and then answer."""
    remaining = list(failures)

    async def fail() -> None:
        failure = remaining.pop(0)
        if not remaining:
            inference.script = None
        raise failure

    inference.script = [fail]


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([WorkerDied("x")], id="one death"),
        pytest.param([UpstreamUnavailable("x"), UpstreamUnavailable("x")], id="twice no server"),
        pytest.param([WorkerDied("x"), ModelNotReady("x")], id="a death, and the next worker still loads"),
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


async def test_one_death_may_be_tried_again_by_the_caller(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, FIRST, WorkerDied("died")]
    with pytest.raises(WorkerDied) as death:
        await generator.complete(REQUEST, call())

    assert death.value.to_problem().retryable


async def test_a_third_retry_is_not_made(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [UpstreamUnavailable("gone")]
    with pytest.raises(UpstreamUnavailable):
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
