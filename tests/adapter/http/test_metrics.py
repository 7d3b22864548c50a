import re

import httpx
import pytest

from adapter.errors import GenerationFailed, UpstreamUnavailable
from adapter.generation.metrics import Metrics
from adapter.schema import DoneEvent
from tests.adapter.gateway_calls import BODY, FIRST, START
from tests.adapter.generation.held_generations import REQUEST
from tests.fakes import FakeInference, answer_to

MODEL = 'model="tiny",model_version="1.0"'


async def count(client: httpx.AsyncClient, series: str) -> float | None:
    lines = (await client.get("/metrics")).text.splitlines()
    values = [line.rpartition(" ")[2] for line in lines if line.startswith(series + " ")]
    return float(values[0]) if values else None


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_an_answer_is_counted_once_with_its_tokens(client: httpx.AsyncClient, path: str) -> None:
    await client.post(path, json=BODY)
    assert await count(client, f'torchbridge_answers_total{{cached="false",finish_reason="stop",{MODEL}}}') == 1
    assert await count(client, f"torchbridge_generated_tokens_total{{{MODEL}}}") == 2
    assert await count(client, f"torchbridge_prompt_tokens_total{{{MODEL}}}") == 3
    assert await count(client, f"torchbridge_time_to_first_token_seconds_count{{{MODEL}}}") == 1
    assert await count(client, "torchbridge_live_requests") == 0


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_an_answer_from_the_cache_costs_no_tokens(client: httpx.AsyncClient, path: str) -> None:
    for _ in range(3):
        await client.post(path, json=BODY | {"temperature": 0})
    assert await count(client, f'torchbridge_answers_total{{cached="true",finish_reason="stop",{MODEL}}}') == 2
    assert await count(client, f"torchbridge_generated_tokens_total{{{MODEL}}}") == 2


def test_a_version_that_has_computed_nothing_has_no_series_of_what_that_took() -> None:
    *_, done = answer_to(REQUEST, "Hello")
    assert isinstance(done, DoneEvent)
    metrics = Metrics(lambda: 0, lambda: 0)
    metrics.add_answer(done.response.model_copy(update={"cached": True}))

    counts = re.findall(rf"torchbridge_(\w+_count|\w+_tokens_total){{{MODEL}}}", metrics.render().decode())
    assert counts == ["time_to_first_token_seconds_count"]


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize("script", [[GenerationFailed("no")], [START, FIRST, GenerationFailed("no")]])
async def test_a_failure_is_counted_by_its_code(
    client: httpx.AsyncClient, inference: FakeInference, path: str, script: list[object]
) -> None:
    inference.script = script
    await client.post(path, json=BODY)
    assert await count(client, f'torchbridge_failures_total{{code="generation_failed",{MODEL}}}') == 1


async def test_retries_are_counted(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [UpstreamUnavailable("gone")]
    await client.post("/generate", json=BODY)
    assert await count(client, "torchbridge_retries_total") == 2
    assert await count(client, f'torchbridge_failures_total{{code="upstream_unavailable",{MODEL}}}') == 1


async def test_what_callers_send_is_no_label(client: httpx.AsyncClient) -> None:
    await client.post("/generate", json=BODY | {"model": "nobody"})
    assert not re.search("nobody|Once", (await client.get("/metrics")).text)


async def test_a_failure_before_there_was_a_version_has_none(client: httpx.AsyncClient) -> None:
    await client.post("/generate", json=BODY | {"model": "nobody"})
    assert await count(client, 'torchbridge_failures_total{code="model_not_found",model="",model_version=""}') == 1
