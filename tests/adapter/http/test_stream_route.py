import httpx
import pytest

from adapter.errors import Overloaded, WorkerDied
from adapter.event_stream import EventDecoder
from adapter.schema import DeltaEvent, ErrorCode
from tests.adapter.gateway_calls import BODY, FIRST, START, events_of, wait_for_ever
from tests.fakes import FakeInference


async def test_stream_sends_start_first_and_done_last(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate/stream", json=BODY)
    assert events_of(answer) == ["start", "delta", "delta", "done"]


async def test_events_that_came_together_are_all_sent(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [[START, FIRST, DeltaEvent(index=1, text="!")], WorkerDied("died")]
    assert events_of(await client.post("/generate/stream", json=BODY)) == ["start", "delta", "delta", "error"]


async def test_a_failure_in_mid_stream_is_logged_without_a_cause_that_it_has_not(
    client: httpx.AsyncClient, inference: FakeInference, caplog: pytest.LogCaptureFixture
) -> None:
    inference.script = [START, FIRST, WorkerDied("It died.")]
    await client.post("/generate/stream", json=BODY, headers={"x-request-id": "abc"})
    assert "abc worker_died in mid-stream: It died." in caplog.messages


async def test_stream_headers_keep_proxies_from_holding_events_back(client: httpx.AsyncClient) -> None:
    headers = (await client.post("/generate/stream", json=BODY)).headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("script", [[Overloaded("full")], [START, Overloaded("full")]], ids=["at once", "after start"])
async def test_a_failure_before_the_first_text_is_a_true_status(
    client: httpx.AsyncClient, inference: FakeInference, script: list[object]
) -> None:
    inference.script = script
    answer = await client.post("/generate/stream", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_failure_after_the_first_text_is_the_one_last_event(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, WorkerDied("died")]
    answer = await client.post("/generate/stream", json=BODY, headers={"x-request-id": "request-1"})
    assert answer.status_code == 200
    assert events_of(answer) == ["start", "delta", "error"]
    problem = list(EventDecoder().feed(answer.content))[-1].problem
    assert (problem.code, problem.request_id) == (ErrorCode.WORKER_DIED, "request-1")


async def test_a_bug_after_the_first_text_is_a_last_event_too(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, LookupError("/home/secret")]
    answer = await client.post("/generate/stream", json=BODY)
    assert events_of(answer) == ["start", "delta", "error"]
    assert b"secret" not in answer.content


async def test_stream_refuses_a_bad_request_with_a_status(client: httpx.AsyncClient) -> None:
    assert (await client.post("/generate/stream", json={})).status_code == 422


async def test_events_arrive_before_the_answer_is_complete(address: str, inference: FakeInference) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    async with (
        httpx.AsyncClient(base_url=address) as client,
        client.stream("POST", "/generate/stream", json=BODY) as answer,
    ):
        first = await anext(answer.aiter_bytes())
    assert [event.type for event in EventDecoder().feed(first)] == ["start", "delta"]
