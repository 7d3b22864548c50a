import time
from contextlib import aclosing

import pytest

from adapter.errors import ModelNotFound, ModelNotReady, Overloaded, UpstreamProtocol
from adapter.model_registry import ModelRegistry
from adapter.schema import GenerationRequest
from adapter.text_generator import TextGenerator
from tests.fakes import FakeInference, FakeManagement

REQUEST = GenerationRequest(prompt="Once")


@pytest.fixture
def generator(management: FakeManagement, inference: FakeInference) -> TextGenerator:
    return TextGenerator(ModelRegistry(management, None), inference)


async def test_pins_the_model_and_version(generator: TextGenerator, inference: FakeInference) -> None:
    await generator.complete(REQUEST, "request-1", time.monotonic())
    assert (inference.requests[0].model, inference.requests[0].model_version) == ("tiny", "1.0")


async def test_folds_the_events_into_one_response(generator: TextGenerator) -> None:
    response = await generator.complete(REQUEST, "request-1", time.monotonic())
    assert (response.text, response.id) == ("Hello world", "request-1")


async def test_an_unknown_model_never_reaches_torchserve(generator: TextGenerator, inference: FakeInference) -> None:
    with pytest.raises(ModelNotFound):
        await generator.complete(REQUEST.model_copy(update={"model": "nobody"}), "request-1", time.monotonic())
    assert not inference.requests


async def test_a_full_queue_is_overload(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [Overloaded("full")]
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, "request-1", time.monotonic())


async def test_the_same_answer_without_a_ready_worker_is_a_model_that_loads(
    generator: TextGenerator, inference: FakeInference, management: FakeManagement
) -> None:
    async def lose_the_worker() -> None:
        management.served["tiny"]["1.0"] = 0
        generator._registry._models._loaded_at -= 5

    inference.script = [lose_the_worker, Overloaded("full")]
    with pytest.raises(ModelNotReady):
        await generator.complete(REQUEST, "request-1", time.monotonic())


async def test_an_answer_without_an_end_makes_no_sense(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = []
    with pytest.raises(UpstreamProtocol):
        await generator.complete(REQUEST, "request-1", time.monotonic())


async def test_leaving_the_stream_closes_the_one_below(generator: TextGenerator, inference: FakeInference) -> None:
    async with aclosing(generator.stream(REQUEST, "request-1", time.monotonic())) as events:
        await anext(events)
    assert inference.is_closed.is_set()
