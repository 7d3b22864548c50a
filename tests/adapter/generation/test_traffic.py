"""Who runs on which version, and who has to wait while one is drained."""

import asyncio
from contextlib import aclosing

import pytest

from adapter.errors import VersionNotFound
from adapter.generation.traffic import Traffic
from adapter.schema import GenerationRequest
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.generation.generators import call, make_generator
from tests.adapter.generation.held_generations import settle
from tests.fakes import FakeInference, FakeManagement

REQUEST = GenerationRequest(prompt="Once")


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def registry(management: FakeManagement) -> ModelRegistry:
    return ModelRegistry(management, None)


async def test_a_request_is_live_on_its_version_until_its_stream_is_closed(
    management: FakeManagement, inference: FakeInference, traffic: Traffic
) -> None:
    generator = make_generator(management, inference, traffic=traffic)
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        await anext(arrivals)
        assert traffic.of("tiny", "1.0").num_live == 1
        assert traffic.of("tiny", "1.0").oldest is not None
    assert traffic.of("tiny", "1.0") == (0, None, 0)


async def test_a_whole_answer_leaves_nothing_live(
    management: FakeManagement, inference: FakeInference, traffic: Traffic
) -> None:
    await make_generator(management, inference, traffic=traffic).complete(REQUEST, call())
    assert not traffic._live


async def test_the_oldest_live_request_is_the_one_that_counts(registry: ModelRegistry, traffic: Traffic) -> None:
    pinned = await registry.resolve()
    with traffic.live(pinned):
        await asyncio.sleep(0.02)
        before = traffic.of("tiny", "1.0").oldest
        with traffic.live(pinned):
            assert before is not None
            assert (traffic.of("tiny", "1.0").oldest or 0) >= before


async def test_held_requests_wait_and_then_mean_what_is_served_by_then(
    management: FakeManagement, registry: ModelRegistry, traffic: Traffic
) -> None:
    traffic.hold("tiny", "1.0", 60)
    waiting = asyncio.create_task(traffic.passed(registry, None, None))
    for _ in range(20):
        await settle()
        if traffic.of("tiny", "1.0").num_held:
            break
        await asyncio.sleep(0.01)
    assert traffic.of("tiny", "1.0") == (0, None, 1)

    management.served = {"tiny": {"2.0": 1, "1.0": 1}}
    traffic.release("tiny", "1.0")
    assert (await waiting).version == "2.0"
    assert traffic.of("tiny", "1.0") == (0, None, 0)


async def test_who_waits_for_a_version_that_is_then_gone_hears_so(
    management: FakeManagement, registry: ModelRegistry, traffic: Traffic
) -> None:
    await registry.resolve()
    traffic.hold("tiny", "1.0", 60)
    waiting = asyncio.create_task(traffic.passed(registry, "tiny", "1.0"))
    await settle()
    management.served = {"tiny": {"2.0": 1}}
    traffic.release("tiny", "1.0")
    with pytest.raises(VersionNotFound):
        await waiting


async def test_another_version_is_not_held(
    management: FakeManagement, registry: ModelRegistry, traffic: Traffic
) -> None:
    management.served = {"tiny": {"1.0": 1, "2.0": 1}}
    traffic.hold("tiny", "2.0", 60)
    assert (await traffic.passed(registry, None, None)).version == "1.0"


async def test_a_hold_that_nobody_renews_ends_by_itself(registry: ModelRegistry, traffic: Traffic) -> None:
    traffic.hold("tiny", "1.0", 0.05)
    assert (await traffic.passed(registry, None, None)).version == "1.0"
    assert not traffic._num_held


async def test_who_leaves_while_held_is_forgotten(registry: ModelRegistry, traffic: Traffic) -> None:
    await registry.resolve()
    traffic.hold("tiny", "1.0", 60)
    waiting = asyncio.create_task(traffic.passed(registry, None, None))
    await settle()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert not traffic._num_held
