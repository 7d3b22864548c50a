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
