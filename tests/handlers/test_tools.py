"""The handler answers a chat with calls of its tools: valid ones, told as they are written and whole at the end."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate

from adapter.schema import ErrorCode, ErrorEvent
from tests.handlers.fake_frontend import Client, FakeFrontend, response

MODELS = Path(__file__).parents[2] / "models"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 5}, "is_cold": {"type": "boolean"}},
    "required": ["city", "is_cold"],
    "additionalProperties": False,
}
TOOL = {"name": "weather", "parameters": PARAMETERS}
CHAT = {"prompt": "Rome?", "messages": [{"role": "user", "content": "Rome?"}], "tools": [TOOL]}
REQUIRED = CHAT | {"tool_choice": "required", "parallel_tool_calls": False, "max_length": 200}


def answer(frontend: FakeFrontend, body: dict[str, Any]) -> Client:
    client = frontend.send(**body)
    frontend.run()
    return client


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_call_that_is_required_is_made_and_valid(frontend: FakeFrontend, temperature: float) -> None:
    told = response(answer(frontend, REQUIRED | {"temperature": temperature, "seed": 1}))

    assert told.tool_calls is not None
    [call] = told.tool_calls
    assert call.name == "weather"
    validate(json.loads(call.arguments), PARAMETERS)
    assert told.finish_reason == "tool_calls"
    assert told.text == ""


def test_what_is_told_piece_by_piece_is_the_call(frontend: FakeFrontend) -> None:
    client = answer(frontend, REQUIRED | {"seed": 1})
    deltas = [delta for event in client.events if event.type == "delta" for delta in event.tool_calls or ()]

    [call] = response(client).tool_calls or ()
    assert (deltas[0].id, deltas[0].name) == (call.id, "weather")
    assert all(delta.id is None and delta.name is None for delta in deltas[1:])
    assert "".join(delta.arguments for delta in deltas) == call.arguments
    assert not any(event.text for event in client.events if event.type == "delta")


def test_a_call_that_is_cut_short_says_so(frontend: FakeFrontend) -> None:
    assert response(answer(frontend, REQUIRED | {"max_length": 30, "temperature": 0})).finish_reason == "length"


@pytest.mark.parametrize("stop", ["}", "city", "</tool_call>", "weather"])
def test_stop_strings_are_looked_for_in_texts_alone(frontend: FakeFrontend, stop: str) -> None:
    told = response(answer(frontend, REQUIRED | {"seed": 1, "stop": [stop]}))

    assert told.finish_reason == "tool_calls"
    assert [call.name for call in told.tool_calls or ()] == ["weather"]


@pytest.mark.parametrize("length", range(1, 12))
def test_a_call_that_has_hardly_begun_leaves_no_text(frontend: FakeFrontend, length: int) -> None:
    assert response(answer(frontend, REQUIRED | {"max_length": length})).text == ""


def test_a_text_beside_tools_is_a_text(frontend: FakeFrontend) -> None:
    told = response(answer(frontend, CHAT | {"temperature": 0, "max_length": 10}))

    assert told.text
    assert told.tool_calls == ()
    assert told.finish_reason in {"stop", "length"}


def test_an_answer_without_tools_tells_of_no_calls(frontend: FakeFrontend) -> None:
    assert response(answer(frontend, {"prompt": "Once", "max_length": 3})).tool_calls is None


def test_a_tool_that_cannot_be_kept_is_refused_before_there_is_a_token(frontend: FakeFrontend) -> None:
    odd = TOOL | {"parameters": {"properties": {"a": {"type": "array", "uniqueItems": True}}}}
    failure = answer(frontend, CHAT | {"tools": [odd]}).events[-1]

    assert isinstance(failure, ErrorEvent)
    assert failure.problem.code == ErrorCode.INVALID_REQUEST
    assert "'weather'" in failure.problem.detail
    assert "uniqueItems" in failure.problem.detail
