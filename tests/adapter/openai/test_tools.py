"""Tools in the forms of OpenAI's API: offered, chosen, and called in answers whole and streamed."""

import json
from typing import Any

import httpx
import openai.types.chat
import pytest

from adapter.openai.schema import ChatCompletionRequest
from adapter.openai.translation import from_chat
from adapter.schema import ChatGenerationRequest, DeltaEvent, DoneEvent, WorkerRequest
from adapter.tools import Tool, ToolCall, ToolCallDelta
from tests.adapter.gateway_calls import START
from tests.adapter.openai.test_requests import refused_field
from tests.adapter.openai.test_routes import CHATS, STREAMED, as_openai_has_it, data_of
from tests.fakes import FakeInference, answer_to

HELLO = {"role": "user", "content": "Hello"}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "d", "parameters": PARAMETERS, "strict": True}
WEATHER = {"type": "function", "function": FUNCTION}
TIME = {"type": "function", "function": {"name": "time", "parameters": None}}
CHOSEN = {"type": "function", "function": {"name": "time"}}


def chat(**keys: Any) -> ChatGenerationRequest:
    [request] = from_chat(ChatCompletionRequest.model_validate({"messages": [HELLO]} | keys))
    assert isinstance(request, ChatGenerationRequest)
    return request


def test_tools_are_told_to_the_model() -> None:
    request = chat(tools=[WEATHER, TIME])

    assert request.tools == (Tool(name="weather", description="d", parameters=PARAMETERS), Tool(name="time"))
    assert (request.tool_choice, request.parallel_tool_calls) == ("auto", True)


def test_a_call_may_be_required_and_be_the_only_one() -> None:
    request = chat(tools=[WEATHER, TIME], tool_choice="required", parallel_tool_calls=False)
    assert (request.tool_choice, request.parallel_tool_calls, len(request.tools)) == ("required", False, 2)


def test_one_function_may_be_chosen() -> None:
    request = chat(tools=[WEATHER, TIME], tool_choice=CHOSEN)

    assert request.tools == (Tool(name="time"),)
    assert (request.tool_choice, request.parallel_tool_calls) == ("required", False)


@pytest.mark.parametrize("keys", [{"tools": [WEATHER], "tool_choice": "none"}, {"tools": []}, {"tools": None}], ids=str)
def test_a_chat_without_tools_is_one_that_older_archives_know(keys: dict[str, Any]) -> None:
    assert not chat(**keys).model_fields_set & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": CHOSEN}, "tool_choice"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "two words"}}]}, "tools.0.function.name"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools.0.function.name"),
    ],
    ids=str,
)
def test_tools_that_cannot_be_called_are_refused(keys: dict[str, Any], field: str) -> None:
    assert refused_field(chat, **keys) == field


CALLS = (
    ToolCall(id="abc", name="weather", arguments='{"city":"Rome"}'),
    ToolCall(id="def", name="time", arguments="{}"),
)
DELTAS = [
    DeltaEvent(index=0, text="I look. "),
    DeltaEvent(index=1, text="", tool_calls=(ToolCallDelta(index=0, id="abc", name="weather", arguments='{"ci'),)),
    DeltaEvent(
        index=2,
        text="",
        tool_calls=(
            ToolCallDelta(index=0, id=None, name=None, arguments='ty":"Rome"}'),
            ToolCallDelta(index=1, id="def", name="time", arguments="{}"),
        ),
    ),
]


def done(text: str, calls: tuple[ToolCall, ...]) -> DoneEvent:
    *_, event = answer_to(WorkerRequest(prompt="Hi", id="1", model="tiny", model_version="1.0"), text)
    assert isinstance(event, DoneEvent)
    told = {"tool_calls": calls, "finish_reason": "tool_calls" if calls else "stop"}
    return DoneEvent(response=event.response.model_copy(update=told))


async def test_an_answer_has_its_calls(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, done("", CALLS)]
    answer = await client.post(CHATS[0], json=CHATS[1] | {"tools": [WEATHER, TIME]})

    [choice] = as_openai_has_it(openai.types.chat.ChatCompletion, answer.json()).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    functions = [call.function for call in choice.message.tool_calls or () if call.type == "function"]
    assert [(each.name, each.arguments) for each in functions] == [(call.name, call.arguments) for call in CALLS]


async def test_an_answer_without_calls_has_no_empty_list_of_them(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, done("Hello", ())]
    answer = await client.post(CHATS[0], json=CHATS[1] | {"tools": [WEATHER]})

    [choice] = answer.json()["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello", "refusal": None}
    assert choice["finish_reason"] == "stop"


async def test_calls_are_streamed_as_openai_streams_them(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, *DELTAS, done("I look. ", CALLS)]
    answer = await client.post(CHATS[0], json=CHATS[1] | STREAMED | {"tools": [WEATHER, TIME]})

    *chunks, end = data_of(answer)
    deltas = [as_openai_has_it(openai.types.chat.ChatCompletionChunk, chunk).choices[0].delta for chunk in chunks]
    assert end == "[DONE]"
    assert "".join(delta.content or "" for delta in deltas) == "I look. "
    assert json.dumps([chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks]) == json.dumps(
        [
            None,
            None,
            [{"index": 0, "id": "abc", "type": "function", "function": {"name": "weather", "arguments": '{"ci'}}],
            [
                {"index": 0, "function": {"arguments": 'ty":"Rome"}'}},
                {"index": 1, "id": "def", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ],
            None,
        ]
    )
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
