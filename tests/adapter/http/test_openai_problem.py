from typing import Any

import httpx
import pytest

from adapter.errors import ERROR_BY_CODE, PromptTooLong
from adapter.http.openai_problem import OpenAIProblem
from adapter.schema import ERROR_CATALOGUE, ErrorCode, FieldError, Problem
from tests.adapter.gateway_calls import START
from tests.fakes import FakeInference

PATH = "/v1/completions"
BODY = {"prompt": "Once"}


@pytest.mark.parametrize(
    ("method", "path", "request_parts", "status", "code"),
    [
        pytest.param("GET", "/v1/nothing", {}, 404, "not_found", id="no such address"),
        pytest.param("GET", PATH, {}, 405, "method_not_allowed", id="wrong method"),
        pytest.param("POST", PATH, {"content": b"{"}, 400, "malformed_json", id="not JSON"),
        pytest.param("POST", PATH, {"content": b" " * 1_001}, 413, "payload_too_large", id="too long"),
        pytest.param("POST", PATH, {"json": {}}, 422, "invalid_request", id="nothing in it"),
        pytest.param("POST", PATH, {"json": BODY | {"model": "other"}}, 404, "model_not_found", id="no such model"),
    ],
)
async def test_whatever_fails_below_v1_has_openais_error(
    *, client: httpx.AsyncClient, method: str, path: str, request_parts: dict[str, Any], status: int, code: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = await client.request(method, path, **request_parts, headers=headers)
    problem = OpenAIProblem.model_validate(answer.json())
    assert (answer.status_code, problem.code, problem.error.code) == (status, code, code)
    assert problem.error.message == problem.detail
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("code", ErrorCode)
async def test_no_failure_is_tried_again_in_vain(
    client: httpx.AsyncClient, inference: FakeInference, code: ErrorCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.generation.text_generator.TRANSIENT", ())
    inference.script = [ERROR_BY_CODE[code]("why")]
    answer = await client.post(PATH, json=BODY)
    assert answer.headers["x-should-retry"] == str(ERROR_CATALOGUE[code].retryable).lower()


async def test_our_own_addresses_keep_our_own_problem(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json={})
    assert "error" not in answer.json()
    assert "x-should-retry" not in answer.headers


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ErrorCode.INVALID_REQUEST, "invalid_request_error"),
        (ErrorCode.MODEL_NOT_FOUND, "invalid_request_error"),
        (ErrorCode.UNAUTHORIZED, "authentication_error"),
        (ErrorCode.FORBIDDEN, "permission_error"),
        (ErrorCode.RATE_LIMITED, "rate_limit_error"),
        (ErrorCode.OVERLOADED, "server_error"),
    ],
)
def test_a_kind_of_failure_has_openais_name(code: ErrorCode, kind: str) -> None:
    assert OpenAIProblem.from_problem(Problem.of(code, "why")).error.type == kind


@pytest.mark.parametrize(
    ("code", "fields", "param"),
    [
        (ErrorCode.INVALID_REQUEST, ["seed", "n"], "seed"),
        (ErrorCode.MODEL_NOT_FOUND, [], "model"),
        (ErrorCode.OVERLOADED, [], None),
    ],
)
def test_the_first_field_at_fault_is_the_param(code: ErrorCode, fields: list[str], param: str | None) -> None:
    errors = tuple(FieldError(field=field, message="no") for field in fields)
    assert OpenAIProblem.from_problem(Problem.of(code, "why", errors=errors)).error.param == param


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_is_too_long_has_openais_code_and_status_beside_ours(
    client: httpx.AsyncClient, inference: FakeInference, stream: bool
) -> None:
    inference.script = [START, PromptTooLong("This model's maximum context length is 512 tokens.")]
    answer = await client.post(PATH, json=BODY | {"stream": stream})
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (400, 400, "prompt_too_long")
    assert (problem["error"]["type"], problem["error"]["code"]) == ("invalid_request_error", "context_length_exceeded")


async def test_our_own_addresses_keep_our_own_status_of_a_prompt_that_is_too_long(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, PromptTooLong("This model's maximum context length is 512 tokens.")]
    answer = await client.post("/generate", json=BODY)
    assert (answer.status_code, answer.json()["status"]) == (422, 422)
