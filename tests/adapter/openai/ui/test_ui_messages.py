"""What the AI SDK's useChat sends, as a chat of ours."""

from typing import Any

import pytest
from pydantic import ValidationError

from adapter.openai.ui.messages import UiMessage, as_messages

WEATHER = {
    "type": "tool-weather",
    "toolCallId": "c1",
    "state": "output-available",
    "input": {"city": "Rome"},
    "output": {"sky": "blue"},
}
STEP = {"type": "step-start"}


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words, "state": "done"}


def turns(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Without what is empty."""
    told = as_messages([UiMessage.model_validate({"id": "m", **message}) for message in messages])
    return [{key: value for key, value in each.model_dump().items() if value} for each in told]


def test_words_of_each_speaker_are_messages() -> None:
    assert turns(
        {"role": "system", "parts": [text("Be kind.")]},
        {"role": "user", "parts": [text("Hi"), text("there")], "metadata": {"at": 5}},
        {"role": "assistant", "parts": [STEP, {"type": "reasoning", "text": "Hm"}, text("Hello"), text("!")]},
    ) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi\nthere"},
        {"role": "assistant", "content": "Hello!"},
    ]


def test_each_step_of_an_assistant_is_a_message_and_each_result_one() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    assert turns({"role": "assistant", "parts": [STEP, text("I look."), WEATHER, STEP, text("Blue.")]}) == [
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "content": '{"sky": "blue"}', "tool_call_id": "c1"},
        {"role": "assistant", "content": "Blue."},
    ]


@pytest.mark.parametrize(
    ("part", "result"),
    [
        (WEATHER | {"output": "blue"}, "blue"),
        (WEATHER | {"type": "dynamic-tool", "toolName": "weather"}, '{"sky": "blue"}'),
        (WEATHER | {"state": "output-error", "errorText": "no net"}, "no net"),
        (WEATHER | {"state": "output-denied"}, "The tool was not run."),
    ],
    ids=str,
)
def test_what_a_tool_gave_is_told_as_text(part: dict[str, Any], result: str) -> None:
    assert turns({"role": "assistant", "parts": [part]})[1]["content"] == result


@pytest.mark.parametrize("state", ["input-streaming", "input-available", "approval-requested"])
def test_a_call_without_a_result_is_not_told(state: str) -> None:
    assert turns({"role": "assistant", "parts": [STEP, text("I look."), WEATHER | {"state": state}]}) == [
        {"role": "assistant", "content": "I look."}
    ]


@pytest.mark.parametrize("part", [{"type": "source-url", "url": "u"}, {"type": "data-weather", "data": 5}], ids=str)
def test_what_is_for_the_page_alone_is_left_out(part: dict[str, Any]) -> None:
    assert turns({"role": "assistant", "parts": [text("Hi"), part]}) == [{"role": "assistant", "content": "Hi"}]


@pytest.mark.parametrize("part", [{"type": "file", "url": "u"}, {"type": "x"}, {"text": "Hi"}, 5], ids=str)
def test_what_cannot_be_told_is_refused(part: Any) -> None:
    with pytest.raises(ValidationError):
        UiMessage.model_validate({"role": "user", "parts": [part]})
