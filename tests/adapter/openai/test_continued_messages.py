"""Chats whose answer goes on with the text of their last message."""

from typing import Any

import pytest

from adapter.errors import InvalidRequest
from adapter.openai.schema import ChatCompletionRequest
from adapter.openai.translation import from_chat
from adapter.schema import ChatGenerationRequest

QUESTION = {"role": "user", "content": "Two dogs?"}
BEGUN = {"role": "assistant", "content": "Rex and"}
CALL = {"id": "call-1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def chat(messages: list[dict[str, Any]], **keys: Any) -> ChatGenerationRequest:
    [request] = from_chat(ChatCompletionRequest.model_validate({"messages": messages} | keys))
    assert isinstance(request, ChatGenerationRequest)
    return request


@pytest.mark.parametrize("keys", [{}, {"add_generation_prompt": False}, {"add_generation_prompt": None}], ids=str)
def test_the_answer_goes_on_with_the_last_message(keys: dict[str, Any]) -> None:
    request = chat([QUESTION, BEGUN], continue_final_message=True, **keys)

    assert request.continue_final_message
    assert request.prompt == "User: Two dogs?\nAssistant: Rex and"


def test_a_last_message_alone_continues_nothing() -> None:
    request = chat([QUESTION, BEGUN])

    assert "continue_final_message" not in request.model_fields_set  # an archive of before has nothing to refuse
    assert request.prompt == "User: Two dogs?\nAssistant: Rex and\nAssistant:"


@pytest.mark.parametrize(
    "last",
    [QUESTION, BEGUN | {"content": ""}, BEGUN | {"tool_calls": [CALL]}],
    ids=["the user's", "without a text", "with a call"],
)
def test_only_a_text_of_the_assistant_can_be_continued(last: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="the last message has to be the assistant's") as refusal:
        chat([QUESTION, last], continue_final_message=True)
    assert [error.field for error in refusal.value.errors] == ["continue_final_message"]


@pytest.mark.parametrize("value", [True, False])
def test_a_generation_prompt_is_the_contrary(value: bool) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        chat([QUESTION, BEGUN], continue_final_message=value, add_generation_prompt=value)
    assert [error.field for error in refusal.value.errors] == ["add_generation_prompt"]
