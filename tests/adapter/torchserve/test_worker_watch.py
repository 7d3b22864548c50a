"""A silent answer is slow, or TorchServe forgot it when its worker died: the workers that are ready tell which."""

import asyncio
import time

import pytest

from adapter.call import Call
from adapter.errors import ModelNotReady, TorchbridgeError, UpstreamUnavailable, VersionNotFound, WorkerDied
from adapter.schema import GenerationRequest
from adapter.settings import Settings
from adapter.torchserve import inference_client, worker_watch
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.served_models import PinnedVersion
from adapter.torchserve.worker_watch import FindWorkers
from tests.fakes import FakeKeys, FakeTorchServe, Turn, answer_to, find_a_worker

REQUEST = GenerationRequest(prompt="Once", model="tiny", model_version="1.0")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (inference_client, worker_watch):
        monkeypatch.setattr(module, "SECONDS_BETWEEN_LOOKS", 0.02)


async def run(torchserve: FakeTorchServe, find: FindWorkers) -> list[str]:
    """The types of the events."""
    settings = Settings(torchserve_url=torchserve.url)
    async with InferenceClient(settings, FakeKeys(torchserve), find) as inference:
        arrivals = inference.stream(REQUEST, Call("request-1", time.monotonic()))
        return [event.type async for events in arrivals for event in events]


def workers_of(*looks: frozenset[int] | TorchbridgeError) -> FindWorkers:
    """What each look finds: the process ids of the workers, or a failure; the last one again and again."""
    remaining = list(looks)

    async def find(model: str, version: str) -> PinnedVersion:
        found = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(found, TorchbridgeError):
            raise found
        return PinnedVersion(model, version, slots=1, workers=frozenset((pid, "") for pid in found))

    return find


@pytest.mark.parametrize(
    "find",
    [
        pytest.param(workers_of(ModelNotReady("none is ready")), id="none is ready"),
        pytest.param(workers_of(VersionNotFound("gone")), id="the version is gone"),
        pytest.param(workers_of(frozenset({1}), frozenset({2})), id="another has taken its place"),
        pytest.param(
            workers_of(UpstreamUnavailable("busy"), frozenset({1}), UpstreamUnavailable("busy"), frozenset({2})),
            id="another has taken its place while TorchServe could not be asked",
        ),
    ],
)
async def test_an_answer_that_torchserve_forgot_ends_when_its_worker_is_found_gone(
    torchserve: FakeTorchServe, find: FindWorkers
) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    with pytest.raises(WorkerDied):
        await run(torchserve, find)
    await asyncio.wait_for(torchserve.turns[0].caller_left.wait(), 30)


async def test_an_answer_that_is_only_slow_goes_on(torchserve: FakeTorchServe) -> None:
    looks = 0
    looked_often = asyncio.Event()

    async def find(model: str, version: str) -> PinnedVersion:
        nonlocal looks
        looks += 1
        if looks == 3:
            looked_often.set()
        return await find_a_worker(model, version)

    async def play(turn: Turn) -> None:
        start, *others = answer_to(turn.request, "Hello", " world")
        await turn.send(start)
        await looked_often.wait()
        await turn.send(*others)

    torchserve.play = play
    assert await run(torchserve, find) == ["start", "delta", "delta", "done"]
