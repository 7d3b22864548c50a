import asyncio

import httpx
import pytest

from adapter.errors import GenerationFailed
from adapter.schema import BatchResponse, ErrorCode, GenerationResponse, Problem
from tests.adapter.gateway_calls import BODY, wait_for_ever
from tests.fakes import FakeInference, wait_for


def batch(*requests: object) -> dict[str, object]:
    return {"requests": requests}


async def test_answers_come_in_the_order_of_the_requests(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate/batch", json=batch(BODY, BODY, BODY), headers={"x-request-id": "many"})
    results = BatchResponse.model_validate_json(answer.content).results
    assert [result.id for result in results if isinstance(result, GenerationResponse)] == ["many-0", "many-1", "many-2"]


async def test_requests_run_side_by_side(address: str, inference: FakeInference) -> None:
    all_are_here = asyncio.Event()

    async def meet() -> None:
        if len(inference.requests) == 3:
            all_are_here.set()
        await all_are_here.wait()

    inference.script = [meet, GenerationFailed("met")]
    async with httpx.AsyncClient(base_url=address) as client:
        answer = await client.post("/generate/batch", json=batch(BODY, BODY, BODY), timeout=30)
    assert [result["detail"] for result in answer.json()["results"]] == ["met"] * 3


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({}, "prompt"),
        ({"prompt": "Once", "temperature": "hot"}, "temperature"),
        (3, "request"),
    ],
    ids=repr,
)
async def test_a_request_that_is_not_valid_fails_alone(client: httpx.AsyncClient, bad: object, field: str) -> None:
    answer = await client.post("/generate/batch", json=batch(BODY, bad, BODY))
    assert answer.status_code == 200
    first, second, third = BatchResponse.model_validate_json(answer.content).results
    assert isinstance(second, Problem)
    assert (second.code, second.status, second.errors[0].field) == (ErrorCode.INVALID_REQUEST, 422, field)
    assert (first.text, third.text) == ("Hello world", "Hello world")


async def test_a_generation_that_fails_fails_alone(client: httpx.AsyncClient) -> None:
    requests = batch(BODY, BODY | {"model": "nobody"}, BODY)
    answer = await client.post("/generate/batch", json=requests, headers={"x-request-id": "many"})
    first, second, third = BatchResponse.model_validate_json(answer.content).results
    assert isinstance(second, Problem)
    assert (second.code, second.request_id) == (ErrorCode.MODEL_NOT_FOUND, "many-1")
    assert (first.text, third.text) == ("Hello world", "Hello world")


async def test_a_bug_fails_alone(address: str, inference: FakeInference) -> None:
    async def fail_for_the_first() -> None:
        if len(inference.requests) == 1:
            raise LookupError
        await wait_for_ever()

    inference.script = [fail_for_the_first]
    async with httpx.AsyncClient(base_url=address) as client:
        headers = {"x-request-timeout": "0.5"}
        answer = await client.post("/generate/batch", json=batch(BODY, BODY), headers=headers, timeout=30)
    assert sorted(result["code"] for result in answer.json()["results"]) == ["deadline_exceeded", "internal"]


@pytest.mark.parametrize("num_requests", [0, 33, 1_000])
async def test_a_batch_that_is_empty_or_too_long_is_refused_as_a_whole(
    client: httpx.AsyncClient, inference: FakeInference, num_requests: int
) -> None:
    answer = await client.post("/generate/batch", json=batch(*[{"prompt": "a"}] * num_requests))
    assert answer.status_code in {413, 422}
    assert not inference.requests


async def test_a_caller_who_leaves_ends_every_request(address: str, inference: FakeInference) -> None:
    inference.script = [wait_for_ever]
    async with httpx.AsyncClient(base_url=address) as client:
        asking = asyncio.create_task(client.post("/generate/batch", json=batch(BODY, BODY, BODY), timeout=None))
        await wait_for(lambda: len(inference.requests) == 3)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await wait_for(lambda: inference.num_closed == 3)
