"""The words are OpenAI's."""

import json

from adapter.client import Message, Tool, ToolCall
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import answers, fake_gateway

MESSAGES: list[Message] = [{"role": "user", "content": "How warm is it in Bern and in Basel?"}]
WEATHER: Tool = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}},
}
CALLS = (
    ToolCall(id="1", name="weather", arguments='{"place": "Bern"}'),
    ToolCall(id="2", name="weather", arguments='{"place": "Basel"}'),
)
SENT = [
    {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Bern"}'}},
    {"id": "2", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Basel"}'}},
]
HEAD = {"id": "chatcmpl-1", "model": "tiny@1.0", "system_fingerprint": "fp_1"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 20}
PIECES = [
    {"index": 0, "id": "1", "type": "function", "function": {"name": "weather", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"place": '}},
    {"index": 1, "id": "2", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Ba'}},
    {"index": 0, "function": {"arguments": '"Bern"}'}},
    {"index": 1, "function": {"arguments": 'sel"}'}},
]


def chunk(delta: object, **choice: object) -> bytes:
    sent = {**HEAD, "choices": [{"delta": delta, **choice}], "usage": None}
    return b"data: " + json.dumps(sent).encode() + b"\n\n"


def test_tools_are_offered_and_what_is_called_is_given(connect: Connect) -> None:
    choice = {"message": {"content": None, "tool_calls": SENT}, "finish_reason": "tool_calls"}
    with fake_gateway(answers(200, {**HEAD, "choices": [choice], "usage": USAGE})) as gateway:
        answer = connect(gateway.url).chat(messages=MESSAGES, tools=[WEATHER], tool_choice="required")
    assert json.loads(gateway.exchanges[0].body) == {
        "messages": MESSAGES,
        "tools": [WEATHER],
        "tool_choice": "required",
    }
    assert (answer.tool_calls, answer.text, answer.finish_reason) == (CALLS, "", "tool_calls")
    assert answer.message() == {"role": "assistant", "content": None, "tool_calls": SENT}


def test_calls_that_come_in_pieces_are_put_together(connect: Connect) -> None:
    wire = [chunk({"tool_calls": [piece]}) for piece in PIECES]
    wire += [
        chunk({}, finish_reason="tool_calls"),
        b"data: " + json.dumps({**HEAD, "choices": [], "usage": USAGE}).encode(),
    ]
    with fake_gateway(lambda exchange: exchange.begin_stream(*wire, b"\n\ndata: [DONE]\n\n")) as gateway:
        answer = connect(gateway.url).stream_chat(messages=MESSAGES, tools=[WEATHER]).read()
    assert (answer.tool_calls, answer.finish_reason) == (CALLS, "tool_calls")


def test_an_answer_without_calls_is_a_turn_of_the_next_request(address: str, connect: Connect) -> None:
    client = connect(address)
    answer = client.chat(messages=MESSAGES)
    assert answer.tool_calls == ()
    assert client.chat(messages=[*MESSAGES, answer.message(), {"role": "user", "content": "And?"}]).text
