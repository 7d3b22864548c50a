"""Answers of /v1/responses as one object each."""

from typing import Any

import httpx
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage

from adapter.errors import Overloaded, PromptTooLong
from adapter.openai.responses.answers import whole
from adapter.openai.responses.schema import ResponseRequest
from adapter.schema import SamplingDefaults, TokenLogprob, TopLogprob
from tests.adapter.gateway_calls import START
from tests.adapter.openai.responses.response_calls import (
    BODY,
    PATH,
    STREAMED,
    TIME,
    WEATHER,
    as_openai_has_it,
    ended,
)
from tests.adapter.openai.test_tools import CALLS
from tests.fakes import FakeInference

TOP = TopLogprob(id=1, token="Hi", bytes=(72, 105), logprob=-0.5)
TOLD = TokenLogprob(**dict(TOP), top=(TOP,))


async def answered(client: httpx.AsyncClient, **keys: Any) -> Response:
    answer = await client.post(PATH, json=BODY | keys, headers={"x-request-id": "request-1"})
    assert answer.status_code == 200, answer.text
    return as_openai_has_it(answer.json())


async def test_a_response_is_one_of_openais_with_all_of_its_fields(client: httpx.AsyncClient) -> None:
    response = await answered(client)
    assert (response.id, response.model, response.status) == ("resp_request-1", "tiny@1.0", "completed")
    assert (response.output_text, response.error, response.incomplete_details) == ("Hello world", None, None)
    [item] = response.output
    assert isinstance(item, ResponseOutputMessage)
    assert (item.id, item.role, item.status) == ("msg_request-1", "assistant", "completed")
    assert response.completed_at is not None
    assert response.created_at <= response.completed_at
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (3, 2, 5)
    # Not of every answer: what OpenAI alone has, and what only some of its own features have.
    hosted = {"access_programs", "image", "input_transformations", "moderation", "tool_usage"}
    hosted |= {"prompt_cache_diagnostics", "prompt_cache_options", "prompt_cache_retention"}
    assert set(Response.model_fields) - response.model_fields_set == hosted


async def test_a_response_says_what_it_was_asked(client: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {
        "instructions": "Be brief.",
        "max_output_tokens": 20,
        "metadata": {"of": "a test"},
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "name": "weather"},
        "text": {"format": {"type": "text"}},
        "top_logprobs": 2,
        "user": "mia",
        "safety_identifier": "m",
        "prompt_cache_key": "p",
    }
    response = await answered(client, **asked)
    assert {key: value for key, value in response.to_dict().items() if key in asked} == asked


async def test_a_response_says_that_nothing_is_kept(client: httpx.AsyncClient) -> None:
    assert (await answered(client)).to_dict()["store"] is False


async def test_what_is_not_said_is_what_the_models_authors_recommend(client: httpx.AsyncClient) -> None:
    """Of this model they say nothing."""
    response = await answered(client)
    assert (response.temperature, response.top_p) == (1, 1)


@pytest.mark.parametrize(
    ("asked", "told"), [({}, (0.6, 0.9)), ({"temperature": 0, "top_p": 0.5}, (0, 0.5))], ids=["silent", "asked"]
)
def test_the_models_authors_have_the_say_where_it_is_silent(asked: Any, told: tuple[float, float]) -> None:
    authors = SamplingDefaults(temperature=0.6, top_p=0.9)
    response = whole(ResponseRequest.model_validate(BODY | asked), ended("Hello").response, authors, 0)
    assert (response["temperature"], response["top_p"]) == told


@pytest.mark.parametrize(
    "form",
    [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "name": "dog", "schema": {"type": "object"}, "strict": True, "description": "d"},
    ],
    ids=str,
)
async def test_a_form_is_said_again(client: httpx.AsyncClient, form: dict[str, Any]) -> None:
    response = await answered(client, text={"format": form, "verbosity": "low"})
    assert response.to_dict()["text"] == {"format": form}


async def test_an_answer_has_its_calls_behind_its_text(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, ended("I look. ", CALLS)]
    response = await answered(client, tools=[WEATHER, TIME])

    text, *calls = response.output
    assert isinstance(text, ResponseOutputMessage)
    assert [
        (call.call_id, call.name, call.arguments) for call in calls if isinstance(call, ResponseFunctionToolCall)
    ] == [(call.id, call.name, call.arguments) for call in CALLS]
    assert response.status == "completed"


async def test_an_answer_of_calls_alone_has_no_message(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, ended("", CALLS)]
    response = await answered(client, tools=[WEATHER, TIME])
    assert [item.type for item in response.output] == ["function_call", "function_call"]


async def test_an_answer_without_a_text_is_an_empty_message(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, ended("")]
    response = await answered(client)
    assert [item.type for item in response.output] == ["message"]
    assert response.output_text == ""


@pytest.mark.parametrize("calls", [(), CALLS], ids=["text", "calls"])
async def test_an_answer_that_its_limit_ends_is_incomplete(
    client: httpx.AsyncClient, inference: FakeInference, calls: Any
) -> None:
    inference.script = [START, ended("Hello", calls, finish_reason="length")]
    response = await answered(client, tools=[WEATHER, TIME])
    assert (response.status, response.completed_at) == ("incomplete", None)
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    *others, last = response.to_dict()["output"]
    assert last["status"] == "incomplete"
    assert {item["status"] for item in others} <= {"completed"}


@pytest.mark.parametrize("reason", ["stop", "stop_sequence", "complete"])
async def test_every_other_end_is_complete(client: httpx.AsyncClient, inference: FakeInference, reason: str) -> None:
    inference.script = [START, ended("Hello", finish_reason=reason)]
    assert (await answered(client)).status == "completed"


async def test_logprobs_are_those_of_the_text(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, ended("HiHi", CALLS, logprobs=(TOLD,) * 5)]
    [message, *_] = (await answered(client, top_logprobs=1, tools=[WEATHER, TIME])).to_dict()["output"]
    token = {"token": "Hi", "bytes": [72, 105], "logprob": -0.5}
    assert message["content"][0]["logprobs"] == [token | {"top_logprobs": [token]}] * 2


async def test_half_a_character_is_a_part_of_the_text(client: httpx.AsyncClient, inference: FakeInference) -> None:
    halves = [TOLD.model_copy(update={"token": "\N{REPLACEMENT CHARACTER}", "bytes": (byte,)}) for byte in "é".encode()]
    inference.script = [START, ended("é", CALLS, logprobs=(*halves, TOLD))]
    [message, *_] = (await answered(client, top_logprobs=1, tools=[WEATHER, TIME])).to_dict()["output"]

    assert [token["bytes"] for token in message["content"][0]["logprobs"]] == [[195], [169]]


@pytest.mark.parametrize("body", [BODY, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("failure", "told"),
    [(Overloaded("Full."), (503, "overloaded")), (PromptTooLong("Long."), (400, "context_length_exceeded"))],
)
async def test_a_failure_before_the_first_text_is_a_status(
    client: httpx.AsyncClient, inference: FakeInference, body: Any, failure: Exception, told: tuple[int, str]
) -> None:
    inference.script = [START, failure]
    answer = await client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == told


@pytest.mark.parametrize("body", [BODY, STREAMED], ids=["whole", "streamed"])
async def test_an_answer_says_what_the_cache_did(client: httpx.AsyncClient, body: Any) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.headers["cache-status"].startswith("torchbridge; fwd=")
