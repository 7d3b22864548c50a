"""TorchServe is gone for a while: who can wait does so in the line, within its own limits."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from adapter.errors import DeadlineExceeded, Overloaded, UpstreamUnavailable
from adapter.generation.text_generator import TextGenerator
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from tests.adapter.generation.generators import REQUEST, call, make_generator
from tests.fakes import FakeKeys, FakeManagement, FakeTorchServe, wait_for


class Restarted:
    """A TorchServe that was ready, is gone now, and can be had back."""

    def __init__(self, torchserve: FakeTorchServe, management: FakeManagement) -> None:
        self._torchserve = torchserve
        self._management = management
        self.settings = Settings()

    def go(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._move(f"http://127.0.0.1:{listener.getsockname()[1]}")
        self._management.failure = UpstreamUnavailable("nobody listens")

    def come_back(self) -> None:
        self._move(self._torchserve.url)
        self._management.failure = None

    def _move(self, url: str) -> None:
        self.settings.__dict__["torchserve_url"] = url


@pytest.fixture
async def torchserve() -> AsyncIterator[FakeTorchServe]:
    async with FakeTorchServe() as torchserve:
        yield torchserve


@pytest.fixture
def restarted(torchserve: FakeTorchServe, management: FakeManagement) -> Restarted:
    management.slots = 1
    restarted = Restarted(torchserve, management)
    restarted.come_back()
    return restarted


@pytest.fixture
async def generator(
    restarted: Restarted, torchserve: FakeTorchServe, management: FakeManagement
) -> AsyncIterator[TextGenerator]:
    generator = make_generator(management, None, max_waiting=1)
    registry = generator._registry
    keys = FakeKeys(torchserve)
    async with InferenceClient(
        restarted.settings,
        keys,
        registry.resolve_anew,
        registry.wait_for_comeback,
        is_queue_empty=registry.is_queue_empty,
        has_workers=registry.has_workers,
    ) as generator._inference:
        yield generator


async def test_whoever_comes_meanwhile_waits_as_many_as_may_and_is_answered_then(
    generator: TextGenerator, restarted: Restarted, torchserve: FakeTorchServe, management: FakeManagement
) -> None:
    await generator.complete(REQUEST, call())
    restarted.go()
    waiting = [asyncio.create_task(generator.complete(REQUEST, call())) for _ in range(2)]
    await wait_for(lambda: generator._admission.num_waiting() == 1)
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, call())
    num_listings = management.num_listings
    await wait_for(lambda: management.num_listings > num_listings + 2)  # they look on
    assert not any(each.done() for each in waiting)
    assert len(torchserve.turns) == 1

    restarted.come_back()
    assert [answer.text for answer in await asyncio.gather(*waiting)] == ["Hello world"] * 2


async def test_a_stream_waits_too(generator: TextGenerator, restarted: Restarted, management: FakeManagement) -> None:
    await generator.complete(REQUEST, call())
    restarted.go()
    first = asyncio.create_task(anext(generator.stream(REQUEST, call())))
    num_listings = management.num_listings
    await wait_for(lambda: management.num_listings > num_listings + 2)
    restarted.come_back()
    assert [event.type for event in await first][:2] == ["start", "delta"]


async def test_nobody_waits_longer_than_its_own_deadline(generator: TextGenerator, restarted: Restarted) -> None:
    await generator.complete(REQUEST, call())
    restarted.go()
    with pytest.raises(DeadlineExceeded):
        await generator.complete(REQUEST, call(deadline=0.2))


async def test_nobody_waits_for_a_torchserve_that_was_never_there(
    generator: TextGenerator, restarted: Restarted
) -> None:
    restarted.go()
    with pytest.raises(UpstreamUnavailable):
        await generator.complete(REQUEST, call())


async def test_nothing_is_sent_to_a_worker_that_is_started_again(
    generator: TextGenerator, torchserve: FakeTorchServe, management: FakeManagement
) -> None:
    """TorchServe's queue keeps the places of those who leave: callers with little patience would fill it."""
    await generator.complete(REQUEST, call())
    management.restarting = {"1.0"}
    await generator._registry.served_anew()
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await generator.complete(REQUEST, call(deadline=0.05))
    patient = asyncio.create_task(generator.complete(REQUEST, call()))
    num_listings = management.num_listings
    await wait_for(lambda: management.num_listings > num_listings + 2)
    assert len(torchserve.turns) == 1

    management.restarting = set()
    assert (await patient).text == "Hello world"
    assert len(torchserve.turns) == 2
