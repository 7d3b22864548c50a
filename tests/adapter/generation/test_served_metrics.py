"""What /metrics says of versions, their workers and engines, of the queue and of canaries."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from adapter.compilation import Compilation, CompilationState
from adapter.engine_figures import Distribution, EngineFigures
from adapter.errors import UpstreamUnavailable
from adapter.gateway import create_app
from adapter.generation.worker_starts import WorkerStarts
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion
from tests.adapter.gateway_calls import BODY, wait_for_ever
from tests.adapter.generation.two_versions import ScriptedVersions
from tests.adapter.http.canary_gateway import Gateway
from tests.fakes import FakeInference, FakeManagement, wait_for

MODEL = 'model="tiny",model_version="1.0"'
FIGURES = EngineFigures(
    step_seconds=Distribution(bounds=(0.01, 0.1), counts=(3, 2, 1), total=0.6),
    step_rows=Distribution(bounds=(1, 2), counts=(4, 1, 1), total=12),
    prompt_tokens=100,
    prefix_tokens=50,
    answer_tokens=12,
    slots=64,
    running=2,
    waiting=1,
    cache_bytes=1_000,
    resident_bytes=2_000,
)


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement({"tiny": {"1.0": 1, "2.0": 1}}, slots=2)


@pytest.fixture
def app(inference: FakeInference, management: FakeManagement, tmp_path: Path) -> FastAPI:
    registry = ModelRegistry(management, default_model=None)
    return create_app(Settings(compilations=tmp_path), inference=inference, registry=registry)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        (await client.get("/models")).raise_for_status()  # it has heard of TorchServe
        yield client


async def values(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    parts = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in parts}


async def test_each_version_is_there_with_its_workers_and_which_one_is_the_default(client: httpx.AsyncClient) -> None:
    found = await values(client)
    assert found[f"torchbridge_default_version{{{MODEL}}}"] == 1
    assert found['torchbridge_default_version{model="tiny",model_version="2.0"}'] == 0
    assert found[f"torchbridge_ready_workers{{{MODEL}}}"] == 1
    assert found[f"torchbridge_slots{{{MODEL}}}"] == 2


async def test_a_look_has_torchserve_asked_and_waits_for_nobody(
    app: FastAPI, management: FakeManagement, inference: FakeInference
) -> None:
    management.failure = UpstreamUnavailable("no")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await values(client))["torchbridge_torchserve_up"] == 0
        management.failure = None
        for _ in range(1_000):
            if (await values(client))["torchbridge_torchserve_up"]:
                break
            await asyncio.sleep(0.01)
        assert f"torchbridge_ready_workers{{{MODEL}}}" in await values(client)
    assert not inference.requests


async def test_who_runs_and_who_waits_is_told_and_how_much_of_the_cache_is_in_use(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [wait_for_ever]
    calls = [asyncio.create_task(client.post("/generate", json=BODY)) for _ in range(3)]
    await wait_for(lambda: len(inference.requests) == 2)
    found = await values(client)
    assert (found["torchbridge_running_requests"], found["torchbridge_waiting_requests"]) == (2, 1)
    assert found[f"torchbridge_model_running_requests{{{MODEL}}}"] == 2
    assert found[f"torchbridge_model_waiting_requests{{{MODEL}}}"] == 1
    assert found["torchbridge_kv_cache_usage_ratio"] == 0.5  # of the other version nobody has a row
    assert found["torchbridge_longest_wait_seconds"] > 0
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    found = await values(client)
    assert found["torchbridge_longest_wait_seconds"] == found["torchbridge_kv_cache_usage_ratio"] == 0


async def test_without_a_ready_worker_there_is_no_room(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.restarting = {"1.0", "2.0"}
    for _ in range(1_000):
        found = await values(client)
        if not found[f"torchbridge_ready_workers{{{MODEL}}}"]:
            break
        await asyncio.sleep(0.01)
    assert found["torchbridge_kv_cache_usage_ratio"] == 1


async def test_the_figures_of_a_ready_worker_s_engine_are_shown(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process in (0, 77):  # one is ready, the other is not there any more
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        FIGURES.write(tmp_path, "tiny", "1.0")
    found = await values(client)
    assert found[f'torchbridge_engine_tokens_total{{{MODEL},source="prefix"}}'] == 50
    steps = {bound: found[f'torchbridge_engine_step_seconds_bucket{{le="{bound}",{MODEL}}}'] for bound in (0.01, 0.1)}
    assert steps == {0.01: 3, 0.1: 5}
    assert found[f"torchbridge_engine_step_seconds_count{{{MODEL}}}"] == 6
    assert found[f"torchbridge_engine_step_rows_sum{{{MODEL}}}"] == 12
    assert found[f"torchbridge_engine_cache_bytes{{{MODEL}}}"] == 1_000
    assert 'torchbridge_engine_running{model="tiny",model_version="2.0"}' not in found


def test_the_figures_of_several_workers_are_added() -> None:
    both = EngineFigures.together([FIGURES, FIGURES])
    assert both is not None
    assert (both.prompt_tokens, both.slots) == (200, 128)
    assert (both.step_seconds.counts, both.step_seconds.total) == ((6, 4, 2), 1.2)


async def test_whether_the_steps_are_compiled_is_told_once_the_worker_has_said_it(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    name = f"torchbridge_compiled_steps{{{MODEL}}}"
    assert name not in await values(client)
    for state, value in ((CompilationState.COMPILING, 0), (CompilationState.COMPILED, 1)):
        Compilation(state=state).write(tmp_path, "tiny", "1.0")
        assert (await values(client))[name] == value


def pinned(*processes: int, version: str = "1.0") -> PinnedVersion:
    return PinnedVersion("tiny", version, 64, frozenset((process, "") for process in processes))


def counts_after(*looks: list[PinnedVersion]) -> dict[tuple[str, str], int]:
    starts = WorkerStarts()
    for look in looks:
        starts.note(look)
    return dict(starts.counts())


def test_a_worker_that_is_another_one_is_counted_and_one_that_is_there_still_is_not() -> None:
    assert counts_after([pinned(1)], [pinned(1)]) == {("tiny", "1.0"): 1}
    assert counts_after([pinned(1)], [pinned()], [pinned(2)]) == {("tiny", "1.0"): 2}


def test_a_version_that_is_gone_has_no_count() -> None:
    assert counts_after([pinned(1), pinned(2, version="2.0")], [pinned(1)]) == {("tiny", "1.0"): 1}


async def test_a_canary_is_shown_with_what_came_of_it_as_long_as_it_runs() -> None:
    gateway = Gateway(ScriptedVersions(), FakeManagement({"tiny": {"1.0": 1, "2.0": 1}}))
    version = 'model="tiny",model_version="2.0"'
    async with gateway.lifespan():
        running = await gateway.begin(percent=50, min_requests=10)
        await gateway.generate(20)
        found = await values(gateway.public)
        assert found[f"torchbridge_canary_share{{{version}}}"] == 0.5
        sides = [found[f'torchbridge_canary_requests{{{version},side="{side}"}}'] for side in ("canary", "control")]
        assert sum(sides) == 20
        verdicts = {name for name, value in found.items() if name.startswith("torchbridge_canary_verdict") and value}
        assert verdicts == {f'torchbridge_canary_verdict{{{version},verdict="go on"}}'}
        await gateway.end(running)
        assert not [name for name in await values(gateway.public) if name.startswith("torchbridge_canary_")]
