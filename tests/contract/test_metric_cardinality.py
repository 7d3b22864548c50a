"""However many models, users, paths and deployments a gateway hears of, it tells Prometheus of a bounded number."""

import time

import httpx

from adapter.errors import GenerationFailed
from adapter.gateway import create_app
from adapter.generation.metrics import Metrics
from adapter.schema import DoneEvent, GenerationRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion
from tests.adapter.generation.held_generations import REQUEST
from tests.fakes import FakeInference, FakeManagement, answer_to

NUM_TIMES = 170  # six things each: a thousand
NUM_DEPLOYMENTS = 200


def num_series(exposition: str) -> int:
    return sum(1 for line in exposition.splitlines() if line and not line.startswith("#"))


async def ask_for_all_sorts_of_things(client: httpx.AsyncClient, number: int) -> None:
    name = f"name-{number}"
    await client.post("/generate", json={"prompt": name, "model": name, "model_version": name})
    await client.post("/generate", json={"prompt": name}, headers={"x-user": name, "x-request-id": name})
    chat = {"model": "tiny", "user": name, "messages": [{"role": "user", "content": name}]}
    await client.post("/v1/chat/completions", json=chat)
    await client.get(f"/models/{name}")
    await client.get(f"/{name}")
    await client.request(f"BREW{number}", f"/{name}")


async def test_a_thousand_models_users_and_paths_that_callers_name_make_no_series() -> None:
    registry = ModelRegistry(FakeManagement(), None)
    app = create_app(Settings(), inference=FakeInference(), registry=registry)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for number in range(2):  # a counter's time of creation comes with its first value
            await ask_for_all_sorts_of_things(client, number)
            await client.get("/metrics")
        before = num_series((await client.get("/metrics")).text)
        for number in range(2, NUM_TIMES):
            await ask_for_all_sorts_of_things(client, number)
        after = (await client.get("/metrics")).text
    assert num_series(after) == before
    assert "name-" not in after


def test_hundreds_of_deployments_leave_the_series_of_the_last_ones() -> None:
    metrics = Metrics(lambda: 0, lambda: 0)
    *_, done = answer_to(REQUEST, "Hello", " world")
    assert isinstance(done, DoneEvent)
    numbers = []
    for number in range(NUM_DEPLOYMENTS):
        about = {"model": f"model-{number}", "model_version": "1.0"}
        response = done.response.model_copy(update=about)
        request = GenerationRequest(prompt="Once", **about)
        metrics.add_answer(response)
        metrics.gen_ai.add_answer(request, response, time.monotonic())
        metrics.add_failure(GenerationFailed.code, PinnedVersion(response.model, "1.0", 1, frozenset()))
        metrics.gen_ai.add_failure(request, GenerationFailed.code, response.model, time.monotonic())
        if number in {NUM_DEPLOYMENTS // 2, NUM_DEPLOYMENTS - 1}:
            numbers.append(num_series(metrics.render().decode()))
    assert numbers[0] == numbers[1]
    exposition = metrics.render().decode()
    assert f'model="model-{NUM_DEPLOYMENTS - 1}"' in exposition
    assert 'model="model-0"' not in exposition
