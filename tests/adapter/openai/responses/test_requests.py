"""Requests to /v1/responses as chats of ours."""

from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from pydantic import ValidationError

from adapter.openai.responses.schema import ResponseRequest
from adapter.openai.responses.translation import from_response
from adapter.output import JsonOutput
from adapter.schema import MAX_LENGTH, ChatGenerationRequest, ChatMessage
from adapter.tools import Tool, ToolCall
from tests.adapter.openai.responses.response_calls import BODY, PARAMETERS, TIME, WEATHER
from tests.adapter.openai.test_requests import refused_field

CALL = {"type": "function_call", "id": "fc_1", "call_id": "1", "name": "f", "arguments": "{}", "status": "completed"}
OUTPUT = {"type": "function_call_output", "call_id": "1", "output": "42"}
HELLO = ChatMessage(role="user", content="Hello")


def chat(**keys: Any) -> ChatGenerationRequest:
    return from_response(ResponseRequest.model_validate(BODY | keys))


def messages(*items: Any, **keys: Any) -> tuple[ChatMessage, ...]:
    return chat(input=list(items), **keys).messages or ()


def refused_path(**keys: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        chat(**keys)
    return ".".join(map(str, refusal.value.errors()[0]["loc"]))


def test_a_text_is_a_message_of_the_users() -> None:
    request = chat()
    assert (request.messages, request.prompt) == ((HELLO,), "User: Hello\nAssistant:")


def test_instructions_are_the_systems_first_message() -> None:
    assert chat(instructions="Be brief.").messages == (ChatMessage(role="system", content="Be brief."), HELLO)
    assert chat(instructions="").messages == (HELLO,)


def test_messages_are_taken_with_and_without_a_type_and_in_parts() -> None:
    said = messages(
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who"}]},
        {"role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "I", "logprobs": []}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": t} for t in ("are", "you?")]},
    )
    assert [(each.role, each.content) for each in said] == [
        ("system", "Be brief."),
        ("user", "Who"),
        ("assistant", "I"),
        ("assistant", "I cannot."),
        ("user", "are\nyou?"),
    ]


def test_calls_are_of_the_assistants_message_before_them() -> None:
    said = messages(
        {"role": "user", "content": "Hello"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": "I look."},
        CALL,
        CALL | {"call_id": "2"},
        OUTPUT,
        OUTPUT | {"call_id": "2", "output": [{"type": "input_text", "text": "43"}]},
        CALL | {"call_id": "3"},
    )
    called = [ToolCall(id=each, name="f", arguments="{}") for each in "123"]
    assert said == (
        HELLO,
        ChatMessage(role="assistant", content="I look.", tool_calls=tuple(called[:2])),
        ChatMessage(role="tool", content="42", tool_call_id="1"),
        ChatMessage(role="tool", content="43", tool_call_id="2"),
        ChatMessage(role="assistant", content="", tool_calls=(called[2],)),
    )


@pytest.mark.parametrize("keys", [{"exclude_none": False}, {"exclude_none": True}, {"exclude_unset": True}], ids=str)
def test_an_output_goes_back_into_the_input_as_the_package_dumps_it(keys: dict[str, bool]) -> None:
    text = ResponseOutputText(type="output_text", text="I look.", annotations=[])
    output = [
        ResponseOutputMessage(id="1", type="message", role="assistant", status="completed", content=[text]),
        ResponseFunctionToolCall(type="function_call", call_id="1", name="f", arguments="{}"),
    ]
    [said] = messages(*(item.model_dump(**keys) for item in output))
    assert (said.content, [call.id for call in said.tool_calls]) == ("I look.", ["1"])


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"type": "item_reference", "id": "msg_1"}, "input.0"),
        ({"type": "web_search_call", "id": "1"}, "input.0"),
        ({"type": "image_generation_call"}, "input.0"),
        ({"content": "Hello"}, "input.0"),
        ("Hello", "input.0"),
        ({"role": "user", "content": [{"type": "input_image", "image_url": "a"}]}, "input.0.message.content"),
        ({"role": "tool", "content": "42"}, "input.0.message.role"),
        ({"role": "user"}, "input.0.message.content"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "input.0.function_call.call_id"),
        (
            {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_file"}]},
            "input.0.function_call_output.output",
        ),
    ],
    ids=str,
)
def test_an_item_that_no_model_is_told_is_refused(item: Any, field: str) -> None:
    assert refused_path(input=[item]) == field


@pytest.mark.parametrize("items", [[], [{"type": "reasoning", "summary": []}]], ids=["none", "reasoning alone"])
def test_an_input_without_a_message_is_refused(items: Any) -> None:
    assert refused_field(chat, input=items) == "input"


def test_an_item_of_another_kind_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"type 'web_search_call' are not supported: only message, function_call, "):
        chat(input=[{"type": "web_search_call"}])


def test_a_reference_says_what_to_send() -> None:
    with pytest.raises(ValueError, match="keeps no items: send the item itself"):
        chat(input=[{"type": "item_reference", "id": "msg_1"}])


def test_tools_are_told_to_the_model() -> None:
    request = chat(tools=[WEATHER, TIME])
    assert request.tools == (Tool(name="weather", description="d", parameters=PARAMETERS), Tool(name="time"))
    assert (request.tool_choice, request.parallel_tool_calls) == ("auto", True)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", (["weather", "time"], "auto", True)),
        ("required", (["weather", "time"], "required", True)),
        ("none", ([], "auto", True)),
        ({"type": "function", "name": "time"}, (["time"], "required", False)),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "time"}]},
            (["time"], "required", True),
        ),
    ],
    ids=str,
)
def test_tools_are_chosen(choice: Any, told: tuple[list[str], str, bool]) -> None:
    request = chat(tools=[WEATHER, TIME], tool_choice=choice)
    assert ([tool.name for tool in request.tools], request.tool_choice, request.parallel_tool_calls) == told


def test_one_call_at_a_time_may_be_asked_for() -> None:
    assert not chat(tools=[WEATHER], parallel_tool_calls=False).parallel_tool_calls


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "time"}}, "tool_choice"),
        (
            {
                "tools": [WEATHER],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "time"}],
                },
            },
            "tool_choice",
        ),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tools": [WEATHER | {"name": "two words"}]}, "tools.0.name"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "web_search"}}, "tool_choice"),
    ],
    ids=str,
)
def test_tools_that_cannot_be_called_are_refused(keys: dict[str, Any], field: str) -> None:
    assert refused_field(chat, **keys) == field


@pytest.mark.parametrize(
    ("form", "output"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonOutput(schema={"type": "object"})),
        ({"type": "json_schema", "name": "a", "schema": PARAMETERS, "strict": False}, JsonOutput(schema=PARAMETERS)),
    ],
    ids=str,
)
def test_a_form_is_asked_for(form: Any, output: JsonOutput | None) -> None:
    assert chat(text={"format": form}).output == output


@pytest.mark.parametrize(
    ("keys", "logprobs"),
    [
        ({}, None),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 3}, 3),
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"include": ["reasoning.encrypted_content"]}, None),
    ],
    ids=str,
)
def test_logprobs_are_asked_for(keys: dict[str, Any], logprobs: int | None) -> None:
    assert chat(**keys).logprobs == logprobs


def test_sampling_is_as_on_the_rest_of_v1() -> None:
    request = chat(temperature=0.5, top_p=0.9, seed=7, stop="a", model="tiny@1.0", max_output_tokens=5)
    assert (request.temperature, request.top_p, request.seed, request.stop) == (0.5, 0.9, 7, ("a",))
    assert (request.model, request.model_version, request.max_length) == ("tiny", "1.0", 5)


def test_the_context_ends_an_answer_without_a_limit() -> None:
    assert chat().max_length == MAX_LENGTH


def test_null_is_as_absent() -> None:
    optional = set(ResponseRequest.model_fields) - set(BODY)
    assert chat(**dict.fromkeys(optional)) == chat()


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"max_output_tokens": -5}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"temperature": 3}, "temperature"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {str(each): "" for each in range(17)}}, "metadata"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_by_openais_name(keys: dict[str, Any], field: str) -> None:
    assert refused_field(chat, **keys) == field
