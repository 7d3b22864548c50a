import re
from collections.abc import AsyncIterator

import httpx
import pytest

from adapter.errors import GenerationFailed
from adapter.http.server_timing import server_timing
from adapter.timeline import Timeline
from tests.adapter.tracing.gateway_over import gateway_over
from tests.fakes import FakeInference, FakeTorchServe
from tests.held_clock import HeldClock

ASKED = {"prompt": "Once", "temperature": 0}
# One metric of the header (https://www.w3.org/TR/server-timing/), as we use it.
METRIC = re.compile(r"([a-z]+);dur=([0-9]+\.[0-9])(?:;desc=([a-z]+))?")


def timing_of(answer: httpx.Response) -> dict[str, str | None]:
    """The names, in their order, with their descriptions."""
    metrics = [METRIC.fullmatch(metric) for metric in answer.headers["server-timing"].split(", ")]
    assert all(metrics), answer.headers["server-timing"]
    return {metric[1]: metric[3] for metric in metrics if metric}


@pytest.fixture
async def gateway() -> AsyncIterator[httpx.AsyncClient]:
    async with FakeTorchServe() as torchserve, gateway_over(torchserve) as client:
        yield client


async def test_a_whole_answer_has_all_of_it(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.post("/generate", json={"prompt": "Once"})
    assert list(timing_of(answer)) == ["admission", "queue", "prefill", "decode", "total"]


async def test_a_stream_has_what_is_over_when_it_begins(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.post("/generate/stream", json={"prompt": "Once"})
    assert list(timing_of(answer))[:3] == ["admission", "queue", "prefill"]
    assert list(timing_of(answer))[-1] == "total"


async def test_an_answer_of_the_cache_says_so(gateway: httpx.AsyncClient) -> None:
    first, again = [await gateway.post("/generate", json=ASKED) for _ in range(2)]
    assert timing_of(first)["cache"] == "miss"
    assert timing_of(again) == {"cache": "hit", "total": None}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "Once"}]}),
        ("/v1/responses", {"model": "tiny", "input": "Once", "store": False}),
    ],
)
async def test_answers_for_clients_of_openai_have_it_too(
    gateway: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    assert "prefill" in timing_of(await gateway.post(path, json=body))


async def test_a_failure_has_it_too(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [GenerationFailed("no")]
    answer = await client.post("/generate", json={"prompt": "Once"})
    assert answer.status_code == 502
    assert list(timing_of(answer)) == ["admission", "queue", "total"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/models"), ("GET", "/absent"), ("PUT", "/generate"), ("POST", "/generate")]
)
async def test_what_generates_nothing_has_its_time_alone(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert timing_of(await client.request(method, path)) == {"total": None}


def test_times_are_milliseconds_and_what_is_done_again_is_added(clock: HeldClock) -> None:
    timeline, received_at = Timeline(), clock()
    for _ in range(2):
        with timeline.attempt() as attempt:
            clock.move(0.25)
            attempt.note_start()
            clock.move(0.5)
    with timeline.phase("cache") as look_up:
        clock.move(0.0125)
    look_up.note = "miss"
    timeline.attempt()
    assert server_timing(timeline, received_at) == (
        "queue;dur=500.0, prefill;dur=1000.0, cache;dur=12.5;desc=miss, total;dur=1512.5"
    )
