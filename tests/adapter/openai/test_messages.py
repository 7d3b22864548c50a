from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage
from pydantic import ValidationError

from adapter.openai.schema import ChatCompletionRequest
from adapter.openai.translation import from_chat
from adapter.schema import ChatGenerationRequest, ChatMessage
from adapter.tools import ToolCall

HELLO = {"role": "user", "content": "Hello"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(*messages: Any) -> ChatGenerationRequest:
    [request] = from_chat(ChatCompletionRequest.model_validate({"messages": list(messages)}))
    assert isinstance(request, ChatGenerationRequest)
    return request


def test_calls_and_their_results_are_messages_of_the_chat() -> None:
    request = chat(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": [{"type": "text", "text": "42"}], "tool_call_id": "1", "name": "f"},
    )
    assert request.messages == (
        ChatMessage(role="user", content="Hello"),
        ChatMessage(role="assistant", content="", tool_calls=(ToolCall(id="1", name="f", arguments="{}"),)),
        ChatMessage(role="tool", content="42", tool_call_id="1"),
    )


def test_messages_of_a_chat_without_calls_are_those_that_older_archives_know() -> None:
    request = chat(HELLO, {"role": "assistant", "content": "Hi", "tool_calls": [], "tool_call_id": "1"}, HELLO)
    assert [message.model_fields_set for message in request.messages or ()] == [{"role", "content"}] * 3


def test_messages_are_sent_as_they_are_and_as_plain_text() -> None:
    request = chat(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": "Who"}, {"type": "text", "text": "are you?"}]},
    )
    assert request.messages == (
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="Hi"),
        ChatMessage(role="assistant", content="Hello!"),
        ChatMessage(role="user", content="Who\nare you?"),
    )
    assert request.prompt == "Be brief.\n\nUser: Hi\nAssistant: Hello!\nUser: Who\nare you?\nAssistant:"


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ({"content": None}, ""),
        ({}, ""),
        ({"content": []}, ""),
        ({"content": None, "tool_calls": [], "function_call": None, "audio": None}, ""),
        ({"content": None, "refusal": "I cannot."}, "I cannot."),
        ({"content": "Hi", "refusal": None}, "Hi"),
        ({"content": [{"type": "refusal", "refusal": "I cannot."}]}, "I cannot."),
        ({"content": "Hi", "name": "Mia", "reasoning_content": "Hm", "annotations": []}, "Hi"),
    ],
    ids=str,
)
def test_what_an_assistant_said_before_is_taken_as_histories_hold_it(said: dict[str, Any], content: str) -> None:
    request = chat(HELLO, {"role": "assistant"} | said, HELLO)
    assert request.messages is not None
    assert request.messages[1] == ChatMessage(role="assistant", content=content)


@pytest.mark.parametrize("keys", [{"exclude_none": False}, {"exclude_none": True}, {"exclude_unset": True}], ids=str)
def test_an_answer_goes_back_into_the_conversation_as_the_package_dumps_it(keys: dict[str, bool]) -> None:
    answer = ChatCompletionMessage(role="assistant", content=None, refusal="I cannot.")
    request = chat(HELLO, answer.model_dump(**keys), HELLO)
    assert request.prompt == "User: Hello\nAssistant: I cannot.\nUser: Hello\nAssistant:"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "function", "name": "f", "content": "42"}, "role"),
        ({"role": "assistant", "content": None, "tool_calls": [CALL | {"type": "custom"}]}, "type"),
        ({"role": "assistant", "content": None, "tool_calls": [CALL | {"function": {"name": "f"}}]}, "arguments"),
        ({"role": "tool", "content": None, "tool_call_id": "1"}, "content"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}, "function_call"),
        ({"role": "assistant", "content": None, "audio": {"id": "1"}}, "audio"),
        ({"role": "user"}, "content"),
        ({"role": "user", "content": None}, "content"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}, "content"),
        ({"role": "user", "content": ["Hello"]}, "content"),
        ({"role": "user", "content": [{"type": "thinking", "text": "Hello"}]}, "content"),
        ({"role": "assistant", "refusal": 5}, "content"),
        ("Hello", 0),
    ],
    ids=str,
)
def test_a_message_that_is_not_text_is_refused_where_it_is_not(message: Any, field: str | int) -> None:
    with pytest.raises(ValidationError) as refusal:
        chat(message)
    assert [error["loc"][-1] for error in refusal.value.errors()] == [field]
