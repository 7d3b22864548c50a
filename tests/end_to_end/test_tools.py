"""Tools on the real stack, by the package `openai`: every call is valid, streamed or not, and results are heard."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai import OpenAI, UnprocessableEntityError

from tests.waiting import PATIENCE

CONVERSATIONS = 200 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 20
AT_ONCE = 8
PARAMETERS: dict[str, dict[str, Any]] = {
    "weather": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 8},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "remind": {
        "type": "object",
        "properties": {
            "at": {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"},
            "to": {"type": "array", "items": {"enum": ["Mia", "Ben"]}, "minItems": 1, "maxItems": 2},
        },
        "required": ["at", "to"],
        "additionalProperties": False,
    },
}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": each}} for name, each in PARAMETERS.items()]
REMIND = {"type": "function", "function": {"name": "remind"}}


@pytest.fixture
def openai(gateway_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway_url}/v1", api_key="none is asked for", timeout=PATIENCE, max_retries=0) as client:
        yield client


def chat(seed: int, **more: Any) -> dict[str, Any]:
    question = {"role": "user", "content": f"Question {seed}: how is the weather, and who is to be told?"}
    return {
        "model": "tiny",
        "messages": [question],
        "tools": TOOLS[: 1 + seed % 2],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "temperature": 1,
        "seed": seed,
        "max_tokens": 200,
    } | more


def is_valid(name: str, arguments: str) -> bool:
    return bool(Draft202012Validator(PARAMETERS[name]).is_valid(json.loads(arguments)))


def called(openai: OpenAI, body: dict[str, Any]) -> list[tuple[str, str]]:
    choice = openai.chat.completions.create(**body).choices[0]
    assert choice.finish_reason == "tool_calls"
    return [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]


def called_in_stream(openai: OpenAI, body: dict[str, Any]) -> list[tuple[str, str]]:
    """As the package puts the deltas together."""
    with openai.chat.completions.stream(**body) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    return [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]


def test_the_arguments_of_many_conversations_are_valid_and_streamed_the_same(openai: OpenAI) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        whole = list(threads.map(lambda seed: called(openai, chat(seed)), range(CONVERSATIONS)))
        streamed = list(threads.map(lambda seed: called_in_stream(openai, chat(seed)), range(CONVERSATIONS)))

    assert [len(calls) for calls in whole] == [1] * CONVERSATIONS
    assert all(is_valid(name, arguments) for [(name, arguments)] in whole)
    assert {name for [(name, _)] in whole} == set(PARAMETERS)
    assert streamed == whole


def test_a_function_that_is_chosen_is_the_one_that_is_called(openai: OpenAI) -> None:
    names = [name for seed in range(3) for name, _ in called(openai, chat(seed, tools=TOOLS, tool_choice=REMIND))]
    assert names == ["remind"] * 3


def test_a_loop_of_tools_ends_in_words(openai: OpenAI) -> None:
    body = chat(1)
    choice = openai.chat.completions.create(**body).choices[0]
    [call] = choice.message.tool_calls or ()
    result = {"role": "tool", "tool_call_id": call.id, "content": "Done."}
    messages = [*body["messages"], choice.message.to_dict(), result]

    answer = openai.chat.completions.create(**chat(1, messages=messages, tool_choice="none", max_tokens=10)).choices[0]
    assert answer.message.content
    assert answer.message.tool_calls is None


def test_a_tool_that_cannot_be_kept_is_refused_by_its_keyword(openai: OpenAI) -> None:
    odd = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    tools = [{"type": "function", "function": {"name": "odd", "parameters": odd}}]
    with pytest.raises(UnprocessableEntityError, match="uniqueItems"):
        openai.chat.completions.create(**chat(1, tools=tools))
