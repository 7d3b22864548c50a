import httpx
import pytest

from adapter.errors import GenerationFailed, ModelNotReady, TorchbridgeError
from tests.adapter.gateway_calls import BODY
from tests.fakes import FakeInference


async def test_a_problem_is_problem_json_with_a_delay(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [ModelNotReady("loading")]
    answer = await client.post("/generate", json=BODY)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["retryable"] is True


async def test_a_problem_without_a_delay_has_no_header_for_it(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [GenerationFailed("no")]
    assert "retry-after" not in (await client.post("/generate", json=BODY)).headers


async def test_an_invalid_request_names_its_fields_in_words_and_in_data(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/generate", json={"temperature": "hot", "max_length": 0})).json()
    assert [error["field"] for error in problem["errors"]] == ["prompt", "max_length", "temperature"]
    assert problem["detail"].startswith("prompt: Field required; max_length: ")
    assert (problem["status"], problem["code"]) == (422, "invalid_request")


async def test_an_invalid_request_is_not_echoed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json={"prompt": "p", "temperature": "my secret", "stop": ["s" * 300]})
    assert b"secret" not in answer.content
    assert b"sss" not in answer.content


async def test_an_endless_field_name_is_cut(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json={"prompt": "p", "x" * 500: 1})
    assert answer.status_code == 422
    assert b"x" * 101 not in answer.content


async def test_a_bug_is_a_problem_that_says_nothing_of_it(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [LookupError("/home/secret")]
    answer = await client.post("/generate", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert b"secret" not in answer.content


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (GenerationFailed("It broke."), "generation_failed: It broke."),
        (GenerationFailed("It broke.", cause="status 500"), "generation_failed: It broke. (status 500)"),
    ],
    ids=["without a cause", "with one"],
)
async def test_the_log_line_of_a_failure_ends_with_its_cause_if_there_is_one(
    client: httpx.AsyncClient,
    inference: FakeInference,
    caplog: pytest.LogCaptureFixture,
    error: TorchbridgeError,
    end: str,
) -> None:
    inference.script = [error]
    await client.post("/generate", json=BODY, headers={"x-request-id": "abc"})
    assert f"abc {end}" in caplog.messages
