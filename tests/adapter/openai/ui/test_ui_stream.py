"""The AI SDK's UI message stream from /chat/ui."""

from typing import Any

import httpx
import pytest

from adapter.errors import Overloaded, WorkerDied
from adapter.schema import DeltaEvent, DoneEvent
from adapter.tools import ToolCall, ToolCallDelta
from tests.adapter.gateway_calls import FIRST, START
from tests.adapter.openai.test_routes import data_of
from tests.adapter.openai.test_tools import WEATHER, done
from tests.fakes import FakeInference

BODY = {
    "id": "chat-1",
    "trigger": "submit-message",
    "messages": [{"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}],
}
CALL = ToolCall(id="c1", name="weather", arguments='{"city":"Rome"}')
CALLED = [
    DeltaEvent(index=0, text="", tool_calls=(ToolCallDelta(index=0, id="c1", name="weather", arguments='{"ci'),)),
    DeltaEvent(index=1, text="", tool_calls=(ToolCallDelta(index=0, id=None, name=None, arguments='ty":"Rome"}'),)),
]


async def chunks(client: httpx.AsyncClient, **more: Any) -> list[Any]:
    return data_of(await client.post("/chat/ui", json=BODY | more))


async def test_a_text_is_streamed_between_its_marks(client: httpx.AsyncClient, inference: FakeInference) -> None:
    answer = await client.post("/chat/ui", json=BODY)
    told = data_of(answer)

    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer.headers["content-type"].startswith("text/event-stream")
    types = ["start", "start-step", "text-start", "text-delta", "text-delta", "text-end", "finish-step", "finish"]
    assert [each["type"] for each in told[:-1]] == types
    assert "".join(each.get("delta", "") for each in told[:-1]) == "Hello world"
    assert told[-1] == "[DONE]"
    assert told[-2]["finishReason"] == "stop"
    [request] = inference.requests
    assert request.prompt == "User: Hello\nAssistant:"


async def test_a_call_is_told_as_it_is_written_and_then_whole(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, *CALLED, done("", (CALL,))]
    told = await chunks(client, tools=[WEATHER])

    assert told[2:-3] == [
        {"type": "tool-input-start", "toolCallId": "c1", "toolName": "weather"},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"ci'},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": 'ty":"Rome"}'},
        {"type": "tool-input-available", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Rome"}},
    ]
    assert told[-2]["finishReason"] == "tool-calls"


async def test_an_answer_to_the_results_of_tools_is_the_message_that_called_them(client: httpx.AsyncClient) -> None:
    result = {"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": {}, "output": "blue"}
    [question] = BODY["messages"]
    answered = await chunks(client, messages=[question, {"id": "m2", "role": "assistant", "parts": [result]}])
    asked = await chunks(client)

    assert answered[0]["messageId"] == "m2"
    assert asked[0]["messageId"] not in {"", "m1"}


async def test_a_call_that_is_cut_short_is_an_error_of_it(client: httpx.AsyncClient, inference: FakeInference) -> None:
    cut = done("", (CALL.model_copy(update={"arguments": '{"ci'}),)).response
    inference.script = [START, CALLED[0], DoneEvent(response=cut.model_copy(update={"finish_reason": "length"}))]
    told = await chunks(client, tools=[WEATHER])

    assert told[-4]["type"] == "tool-input-error"
    assert told[-2]["finishReason"] == "length"


async def test_a_failure_before_the_first_text_is_a_status(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, Overloaded("Too many.")]
    answer = await client.post("/chat/ui", json=BODY)

    assert answer.status_code == 503
    assert answer.json()["code"] == "overloaded"


async def test_a_failure_after_it_is_told_in_words(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, FIRST, WorkerDied("It died.")]
    assert (await chunks(client))[-2:] == [{"type": "error", "errorText": "It died."}, "[DONE]"]


@pytest.mark.parametrize(
    "more",
    [
        {"messages": []},
        {"messages": [{"role": "user", "parts": [{"type": "file", "url": "u"}]}]},
        {"top_p": 5},
    ],
    ids=["no message", "a file", "an odd number"],
)
async def test_what_cannot_be_asked_is_refused(
    client: httpx.AsyncClient, inference: FakeInference, more: dict[str, Any]
) -> None:
    assert (await client.post("/chat/ui", json=BODY | more)).status_code == 422
    assert not inference.requests
