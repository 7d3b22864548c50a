"""How old a description may be, and what is expected back."""

import asyncio
import threading

import pytest

from adapter.errors import ModelNotReady, UpstreamUnavailable
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeManagement, wait_for


async def test_a_request_waits_for_a_refresh_that_takes_long_only_for_a_moment(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    may_answer = threading.Event()
    management.model_names = lambda: may_answer.wait(30) and []  # type: ignore[method-assign]
    registry._models._loaded_at -= 5
    assert (await registry.resolve())[:2] == ("story", "2.0")
    may_answer.set()
    await wait_for(registry._models._refresh.done)


async def test_a_refusal_rests_on_a_fresh_description(registry: ModelRegistry, management: FakeManagement) -> None:
    await registry.resolve()
    registry._models._loaded_at -= 5
    management.served["new"] = {"1.0": 1}
    assert (await registry.resolve("new"))[:2] == ("new", "1.0")


async def test_a_short_silence_of_the_management_api_fails_no_request(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    registry._models._loaded_at -= 5
    management.failure = UpstreamUnavailable("down")
    assert (await registry.resolve())[:2] == ("story", "2.0")
    await wait_for(registry._models._refresh.done)


async def test_a_torchserve_that_is_gone_for_as_long_as_a_restart_may_take_is_waited_for_no_longer(
    management: FakeManagement,
) -> None:
    registry = ModelRegistry(management, "story", restart_timeout=60)
    before = await registry.resolve()
    management.failure = UpstreamUnavailable("down")
    registry._models._loaded_at -= 3600  # nobody has asked since
    assert await registry.resolve() == before

    registry._comebacks._limit = 0
    with pytest.raises(UpstreamUnavailable):
        await registry.resolve()
    with pytest.raises(UpstreamUnavailable):
        await registry.wait_for_comeback("story", "2.0")


async def test_what_there_was_is_no_longer_listed_where_torchserve_has_not_answered_for_long(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.models()
    registry._models._loaded_at -= 60
    management.failure = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        await registry.models()


async def test_whoever_waits_gets_the_workers_of_a_torchserve_that_was_started_again(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    management.failure = UpstreamUnavailable("down")
    waiting = asyncio.create_task(registry.wait_for_comeback("story", "1.0"))
    num_listings = management.num_listings
    await wait_for(lambda: management.num_listings > num_listings + 1)
    versions = management.served["story"]
    management.failure, management.served["story"] = None, {"2.0": 1}  # the default comes first
    num_listings = management.num_listings
    await wait_for(lambda: management.num_listings > num_listings + 1)
    assert not waiting.done()

    management.served["story"] = versions
    assert (await waiting)[:2] == ("story", "1.0")


async def test_nobody_waits_for_what_was_never_ready(registry: ModelRegistry, management: FakeManagement) -> None:
    with pytest.raises(ModelNotReady):
        await registry.wait_for_comeback("story", "3.0")
    management.failure = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        await registry.wait_for_comeback("story", "3.0")


async def test_a_management_api_that_fails_is_asked_once_for_each_request(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    # Twice, and the second failure would hold the first: in an outage under load, an endless chain of them.
    management.failure = UpstreamUnavailable("no answer")
    with pytest.raises(UpstreamUnavailable) as failure:
        await registry.resolve()
    assert management.num_listings == 1
    assert failure.value.__context__ is None


async def test_to_resolve_anew_is_to_ask_again(registry: ModelRegistry, management: FakeManagement) -> None:
    await registry.resolve("chat")
    management.served["chat"] = {"2.0": 1}
    assert (await registry.resolve_anew("chat"))[:2] == ("chat", "2.0")


async def test_a_version_whose_workers_are_gone_is_found_out(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    registry._models._loaded_at -= 5
    management.served["story"]["2.0"] = 0
    with pytest.raises(ModelNotReady):
        await registry.resolve_anew("story", "2.0")


async def test_a_switch_that_somebody_else_makes_is_noticed_within_a_second(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    assert (await registry.resolve())[:2] == ("story", "2.0")
    management.served["story"] = {"1.0": 1, "2.0": 1}
    registry._models._loaded_at -= 1.1
    assert (await registry.resolve()).version == "1.0"


async def test_a_version_whose_worker_is_started_again_goes_on_for_a_while(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    before = await registry.resolve()
    management.restarting = {"2.0"}
    registry._models._loaded_at -= 1.1
    assert await registry.resolve() == before
    with pytest.raises(ModelNotReady):
        await registry.resolve_anew()

    registry._comebacks._limit = 0
    registry._models._loaded_at -= 1.1
    with pytest.raises(ModelNotReady):
        await registry.resolve()


async def test_a_version_that_has_lost_all_of_its_workers_is_not_ready_at_once(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    management.served["story"]["2.0"] = 0
    registry._models._loaded_at -= 1.1
    with pytest.raises(ModelNotReady):
        await registry.resolve()
