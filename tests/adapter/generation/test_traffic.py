"""Who runs on which version, and who has to wait while one is drained."""

import asyncio
from contextlib import ExitStack, aclosing

import pytest

from adapter.errors import VersionNotFound
from adapter.generation.traffic import Traffic, VersionTraffic
from adapter.schema import GenerationRequest
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.generation.generators import call, make_generator
from tests.fakes import FakeInference, FakeManagement, wait_for
from tests.held_clock import HeldClock

REQUEST = GenerationRequest(prompt="Once")
NOTHING = VersionTraffic(num_live=0, oldest=None, num_held=0)


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
    assert traffic.of("tiny", "1.0") == NOTHING


async def test_a_whole_answer_leaves_nothing_live(
    management: FakeManagement, inference: FakeInference, traffic: Traffic
) -> None:
    await make_generator(management, inference, traffic=traffic).complete(REQUEST, call())
    assert inference.requests
    assert traffic.of("tiny", "1.0") == NOTHING


async def test_the_oldest_live_request_is_the_one_that_counts(
    clock: HeldClock, registry: ModelRegistry, traffic: Traffic
) -> None:
    pinned = await registry.resolve()
    with ExitStack() as first:
        first.enter_context(traffic.live(pinned))
        clock.move(20)
        with traffic.live(pinned):
            clock.move(1)
            assert traffic.of("tiny", "1.0") == (2, 21, 0)
            first.close()
            assert traffic.of("tiny", "1.0") == (1, 1, 0)


async def test_held_requests_wait_and_then_mean_what_is_served_by_then(
    management: FakeManagement, registry: ModelRegistry, traffic: Traffic
) -> None:
    traffic.hold("tiny", "1.0", 60)
    waiting = asyncio.create_task(traffic.passed(registry, None, None))
    await wait_for(lambda: traffic.of("tiny", "1.0").num_held)
    assert traffic.of("tiny", "1.0") == (0, None, 1)

    management.served = {"tiny": {"2.0": 1, "1.0": 1}}
    traffic.release("tiny", "1.0")
    assert (await waiting).version == "2.0"
    assert traffic.of("tiny", "1.0") == NOTHING


async def test_who_waits_for_a_version_that_is_then_gone_hears_so(
    management: FakeManagement, registry: ModelRegistry, traffic: Traffic
) -> None:
    await registry.resolve()
    traffic.hold("tiny", "1.0", 60)
    waiting = asyncio.create_task(traffic.passed(registry, "tiny", "1.0"))
    await wait_for(lambda: traffic.of("tiny", "1.0").num_held)
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


async def test_a_hold_that_nobody_renews_ends_by_itself(
    clock: HeldClock, registry: ModelRegistry, traffic: Traffic
) -> None:
    traffic.hold("tiny", "1.0", 10)
    waiting = asyncio.create_task(traffic.passed(registry, None, None))
    await wait_for(lambda: traffic.of("tiny", "1.0").num_held)
    await clock.pass_by(9)
    assert not waiting.done()
    await clock.pass_by(1)
    await wait_for(waiting.done)
    assert (await waiting).version == "1.0"
    assert traffic.of("tiny", "1.0") == NOTHING


async def test_who_leaves_while_held_is_forgotten(registry: ModelRegistry, traffic: Traffic) -> None:
    traffic.hold("tiny", "1.0", 60)
    waiting = asyncio.create_task(traffic.passed(registry, None, None))
    await wait_for(lambda: traffic.of("tiny", "1.0").num_held)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert traffic.of("tiny", "1.0") == NOTHING
