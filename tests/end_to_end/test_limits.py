"""A full house, deadlines and batches, on the real stack. The model `endless` has two slots and a queue of four."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing

import pytest
import requests

from adapter.call import Call
from adapter.gateway import create_app
from adapter.schema import BatchResponse, DeltaEvent, ErrorEvent, GenerationRequest, GenerationResponse, Problem
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.gateway_calls import TIMEOUT, expect_problem, post, stream
from tests.end_to_end.observing import cpu_seconds, num_waiting, wait_until_idle
from tests.fakes import serving, wait_for
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

ENDLESS = {"prompt": "Once", "model": "endless", "max_length": 32_000}


@pytest.fixture
def narrow_gateway(gateway_settings: Settings) -> Iterator[str]:
    """A gateway in which one request may wait."""
    with serving(create_app(gateway_settings.model_copy(update={"max_waiting_requests": 1}))) as url:
        yield url


def is_waiting(gateway_url: str) -> bool:
    return "torchbridge_waiting_requests 1.0" in requests.get(f"{gateway_url}/metrics", timeout=TIMEOUT).text


def test_who_finds_no_slot_waits_in_the_gateway_and_a_caller_who_leaves_makes_room(
    gateway_url: str, torchserve: TorchServeProcess
) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        stream(gateway_url, **ENDLESS) as (first, first_events),
        stream(gateway_url, **ENDLESS) as (_, second_events),
    ):
        assert {next(first_events).type, next(second_events).type} == {"start"}
        third = pool.submit(post, gateway_url, prompt="The fox", model="endless", max_length=3)
        wait_until(lambda: is_waiting(gateway_url))
        waits_since = time.monotonic()
        assert num_waiting(torchserve) == 0
        waited = time.monotonic() - waits_since
        first.close()

        answer = third.result().json()
        assert answer["tokens_generated"] == 3
        assert answer["queue_time"] >= waited
        assert isinstance(next(second_events), DeltaEvent)


def test_one_more_than_may_wait_is_refused_at_once_and_told_when_to_come_back(narrow_gateway: str) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        stream(narrow_gateway, **ENDLESS) as (_, first),
        stream(narrow_gateway, **ENDLESS) as (_, second),
    ):
        next(first)
        next(second)
        waiting = pool.submit(post, narrow_gateway, prompt="A", model="endless", max_length=1)
        wait_until(lambda: is_waiting(narrow_gateway))
        with stream(narrow_gateway, **ENDLESS) as (response, _):
            problem = expect_problem(response, "overloaded")
        assert problem.retryable
        assert response.headers["retry-after"] == str(problem.retry_after)
        first.close()
        second.close()
        assert waiting.result().status_code == 200


async def test_a_full_queue_of_torchserve_is_overload_too(
    gateway_url: str, gateway_settings: Settings, torchserve: TorchServeProcess
) -> None:
    async def ready(_model: str, _version: str) -> None: ...

    request = GenerationRequest(**ENDLESS, model_version="1.0")
    async with (
        InferenceClient(gateway_settings, torchserve.keys, ready) as another_gateway,
        AsyncExitStack() as stack,
    ):
        streams = [another_gateway.stream(request, Call(f"other-{index}", time.monotonic())) for index in range(6)]
        for each in streams:
            await stack.enter_async_context(aclosing(each))
        running = [asyncio.create_task(anext(each)) for each in streams[:2]]
        await asyncio.gather(*running)
        waiting = [asyncio.create_task(anext(each)) for each in streams[2:]]
        await wait_for(lambda: num_waiting(torchserve) == 4)
        expect_problem(await asyncio.to_thread(post, gateway_url, **ENDLESS), "overloaded")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    # It forgets who has left the queue when it comes to them, and is full until then.
    await wait_for(lambda: num_waiting(torchserve) == 0)


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_a_deadline_in_the_line_is_a_true_status(gateway_url: str, path: str) -> None:
    with stream(gateway_url, **ENDLESS) as (_, first), stream(gateway_url, **ENDLESS) as (_, second):
        next(first)
        next(second)
        headers = {"x-request-timeout": "0.5"}
        expect_problem(
            requests.post(gateway_url + path, json=ENDLESS, headers=headers, timeout=TIMEOUT), "deadline_exceeded"
        )


def test_a_deadline_stops_a_running_request_in_the_worker(gateway_url: str, torchserve: TorchServeProcess) -> None:
    busy = cpu_seconds(torchserve)
    # On a busy machine the first text may come after the first of these deadlines.
    for seconds in (2, 10, 50):
        with stream(gateway_url, headers={"x-request-timeout": str(seconds)}, **ENDLESS) as (response, events):
            if response.status_code == requests.codes.ok:
                *_, last = events
                break
    assert isinstance(last, ErrorEvent)
    assert last.problem.code == "deadline_exceeded"
    assert cpu_seconds(torchserve) > busy
    wait_until_idle(lambda: cpu_seconds(torchserve))


def test_a_batch_answers_what_its_requests_would_alone(gateway_url: str) -> None:
    prompts = ["Once upon a time", "The fox", "A", "One day", "In a village", "Mia", "The cat", "Hello"]
    bodies = [{"prompt": prompt, "max_length": 20, "temperature": 0} for prompt in prompts]
    alone = [post(gateway_url, **body).json()["text"] for body in bodies]
    bodies[3] = {"prompt": ""}
    answer = requests.post(
        f"{gateway_url}/generate/batch",
        json={"requests": bodies},
        headers={"cache-control": "no-cache"},
        timeout=TIMEOUT,
    )
    results = BatchResponse.model_validate_json(answer.content).results
    assert isinstance(results[3], Problem)
    assert [r.text for r in results if isinstance(r, GenerationResponse)] == alone[:3] + alone[4:]
