import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from adapter.errors import (
    GenerationFailed,
    InvalidRequest,
    ModelNotReady,
    Overloaded,
    PromptTooLong,
    TorchbridgeError,
    UpstreamUnavailable,
)
from adapter.torchserve import readiness as of_readiness
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.readiness import Readiness
from tests.fakes import FakeInference, FakeManagement, wait_for

TINY = ("tiny", "1.0")


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement()


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()


@pytest.fixture
async def readiness(management: FakeManagement, inference: FakeInference) -> AsyncIterator[Readiness]:
    async with Readiness(ModelRegistry(management, None), inference) as readiness:
        yield readiness


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_readiness, "_LONGEST_SILENCE", 0.02)


async def test_a_worker_of_which_nothing_was_heard_is_asked_for_one_token(
    readiness: Readiness, inference: FakeInference
) -> None:
    await readiness.check()
    [request] = inference.requests
    assert (request.model, request.model_version, request.max_length) == ("tiny", "1.0", 1)


async def test_a_worker_that_has_just_written_is_not_asked(readiness: Readiness, inference: FakeInference) -> None:
    inference.heard[TINY] = time.monotonic()
    await readiness.check()
    assert inference.requests == []


async def test_a_worker_that_writes_for_others_is_ready_while_the_probe_waits_for_a_slot(
    readiness: Readiness, inference: FakeInference
) -> None:
    async def wait_for_a_slot() -> None:
        inference.heard[TINY] = time.monotonic()
        await asyncio.Event().wait()

    inference.script = [wait_for_a_slot]
    await readiness.check()


@pytest.mark.usefixtures("impatient")
async def test_a_silent_worker_is_not_ready_until_it_answers_and_is_asked_once(
    readiness: Readiness, inference: FakeInference
) -> None:
    goes_on = asyncio.Event()

    async def stand_still() -> None:
        await goes_on.wait()

    inference.script = [stand_still]
    for _ in range(3):
        with pytest.raises(ModelNotReady):
            await readiness.check()
    assert len(inference.requests) == 1

    goes_on.set()
    await inference.is_closed.wait()
    await readiness.check()


async def test_all_who_ask_at_once_share_one_probe(readiness: Readiness, inference: FakeInference) -> None:
    await asyncio.gather(*(readiness.check() for _ in range(10)))
    assert len(inference.requests) == 1


@pytest.mark.parametrize("failure", [GenerationFailed("x"), Overloaded("x"), UpstreamUnavailable("x")], ids=repr)
async def test_a_worker_that_fails_the_probe_is_not_ready_until_one_succeeds(
    readiness: Readiness, inference: FakeInference, failure: TorchbridgeError
) -> None:
    inference.script = [failure]
    with pytest.raises(ModelNotReady):
        await readiness.check()
    inference.script = None
    await readiness.check()


@pytest.mark.parametrize("refusal", [InvalidRequest("No tokens."), PromptTooLong("Of 4 tokens.")])
async def test_a_model_that_cannot_read_the_probe_is_ready(
    readiness: Readiness, inference: FakeInference, refusal: TorchbridgeError
) -> None:
    inference.script = [refusal]
    await readiness.check()


async def test_a_model_without_workers_is_not_ready_whatever_was_heard(
    readiness: Readiness, management: FakeManagement, inference: FakeInference
) -> None:
    inference.heard[TINY] = time.monotonic()
    management.served["tiny"]["1.0"] = 0
    with pytest.raises(ModelNotReady):
        await readiness.check()


async def test_a_management_api_that_does_not_answer_is_not_waited_for(
    readiness: Readiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: ModelRegistry) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(ModelRegistry, "resolve_any", never)
    monkeypatch.setattr(of_readiness, "_LONGEST_LOOK", 0.01)
    with pytest.raises(ModelNotReady):
        await readiness.check()


async def test_at_the_end_no_probe_is_left(management: FakeManagement, inference: FakeInference) -> None:
    async def stand_still() -> None:
        await asyncio.Event().wait()

    inference.script = [stand_still]
    async with Readiness(ModelRegistry(management, None), inference) as readiness:
        check = asyncio.create_task(readiness.check())
        await wait_for(lambda: inference.requests)
        check.cancel()
    assert inference.num_closed == 1
