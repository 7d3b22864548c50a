"""The answer that `serve` shows at its start is no caller's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import httpx
import pytest

from adapter.gateway import create_app
from adapter.schema import ErrorCode, ErrorEvent, Problem
from adapter.serving.running_stack import RunningStack
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.server_process import StartFailed
from adapter.versions.server_files import ServerFiles
from tests.fakes import FakeKeys, FakeManagement, FakeTorchServe, Turn, answer_to, play_hello, serving

BODY = {"prompt": "Once upon a time", "temperature": 0}


@pytest.fixture
async def torchserve() -> AsyncIterator[FakeTorchServe]:
    async with FakeTorchServe() as torchserve:
        yield torchserve


async def started(torchserve: FakeTorchServe, directory: Path, **settings: str) -> AsyncIterator[RunningStack]:
    keys, management = FakeKeys(torchserve), FakeManagement()
    configured = Settings(torchserve_url=torchserve.url, rate_limit="1/hour", **settings)
    registry = ModelRegistry(management, None)
    app = create_app(configured, inference=InferenceClient(configured, keys, registry.resolve_anew), registry=registry)
    process = SimpleNamespace(management=management, keys=keys, wait_until_ready=lambda _: None)
    with serving(app) as url:
        yield RunningStack(url, configured, process, Thread(), files=ServerFiles(directory), report=print)


@pytest.fixture
async def stack(torchserve: FakeTorchServe, tmp_path: Path) -> AsyncIterator[RunningStack]:
    async for each in started(torchserve, tmp_path):
        yield each


async def sample(stack: RunningStack) -> str:
    return "".join(await asyncio.to_thread(list, stack.sample()))


async def test_it_is_the_models_answer(stack: RunningStack, torchserve: FakeTorchServe) -> None:
    assert await sample(stack) == "Hello world"
    sent = torchserve.turns[0].request
    assert (sent.prompt, sent.temperature) == tuple(BODY.values())


async def test_it_spends_no_callers_rate_and_counts_in_no_metrics_and_no_cache(stack: RunningStack) -> None:
    await sample(stack)
    async with httpx.AsyncClient(base_url=stack.url) as client:
        before = (await client.get("/metrics")).text
        first = await client.post("/generate", json=BODY)
        second = await client.post("/generate", json=BODY)
    totals = [line for line in before.splitlines() if line.startswith("torchbridge_") and "_total" in line]
    # /readyz is asked, too, and TorchServe for its workers.
    counted = [line for line in totals if not line.startswith(("torchbridge_http_", "torchbridge_worker_"))]
    assert not [line for line in counted if not line.endswith(" 0.0")]
    assert (first.status_code, first.headers["cache-status"]) == (200, "torchbridge; fwd=miss")
    assert (second.status_code, second.json()["code"]) == (429, "rate_limited")


async def test_without_keys_no_refusal_speaks_of_one(stack: RunningStack) -> None:
    async with httpx.AsyncClient(base_url=stack.url) as client:
        refused = [await client.post("/generate", json=BODY) for _ in range(2)][1]
    assert refused.status_code == 429
    assert "key" not in refused.json()["detail"] + refused.json()["title"]


async def test_a_gateway_with_keys_shows_one_too(torchserve: FakeTorchServe, tmp_path: Path) -> None:
    async for stack in started(torchserve, tmp_path, api_keys="web:canary-0123456789-abc"):
        assert await sample(stack) == "Hello world"


async def test_an_answer_that_fails_ends_the_start(stack: RunningStack, torchserve: FakeTorchServe) -> None:
    async def fail(turn: Turn) -> None:
        turn.fail(ErrorCode.WORKER_DIED)

    torchserve.play = fail
    with pytest.raises(StartFailed, match="sample answer"):
        await sample(stack)
    assert len(torchserve.turns) == 3


async def test_a_model_that_cannot_read_its_prompt_is_served(stack: RunningStack, torchserve: FakeTorchServe) -> None:
    async def refuse(turn: Turn) -> None:
        problem = Problem.of(ErrorCode.INVALID_REQUEST, "The prompt has no tokens.")
        await turn.send(answer_to(turn.request)[0], ErrorEvent(problem=problem))

    torchserve.play = refuse
    assert "does not take the sample's prompt" in await sample(stack)


async def test_where_a_worker_dies_on_it_the_next_one_is_asked(stack: RunningStack, torchserve: FakeTorchServe) -> None:
    async def die_once(turn: Turn) -> None:
        if len(torchserve.turns) > 1:
            await play_hello(turn)
        else:
            await turn.send(*answer_to(turn.request, "Hel")[:2])
            turn.reset()

    torchserve.play = die_once
    assert await sample(stack) == "Hel ...\n\nOnce upon a timeHello world"


async def test_a_gateway_that_is_not_there_ends_the_start(stack: RunningStack) -> None:
    stack.url = "http://127.0.0.1:1"
    with pytest.raises(StartFailed, match="sample answer"):
        await sample(stack)
