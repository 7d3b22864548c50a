"""Answers of /v1/responses as streams of events."""

from typing import Any

import httpx
import pytest

from adapter.errors import WorkerDied
from tests.adapter.gateway_calls import FIRST, START
from tests.adapter.openai.responses.response_calls import (
    BODY,
    PATH,
    STREAMED,
    TIME,
    WEATHER,
    as_openai_has_it,
    ended,
    events_of,
)
from tests.adapter.openai.responses.test_answers import TOLD
from tests.adapter.openai.test_tools import CALLS, DELTAS
from tests.fakes import FakeInference

BEGINNING = ["response.created", "response.in_progress"]
MESSAGE_BEGINS = ["response.output_item.added", "response.content_part.added"]
MESSAGE_ENDS = ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
CALL_ENDS = ["response.function_call_arguments.done", "response.output_item.done"]
TOOLS = {"tools": [WEATHER, TIME]}


async def streamed(client: httpx.AsyncClient, **keys: Any) -> list[Any]:
    answer = await client.post(PATH, json=STREAMED | keys)
    assert answer.status_code == 200, answer.text
    return events_of(answer)


def types(events: list[Any]) -> list[str]:
    return [event["type"] for event in events]


async def test_a_text_comes_as_openai_streams_it(client: httpx.AsyncClient) -> None:
    events = await streamed(client)
    deltas = ["response.output_text.delta"] * 2
    assert types(events) == [*BEGINNING, *MESSAGE_BEGINS, *deltas, *MESSAGE_ENDS, "response.completed"]
    assert [event["delta"] for event in events if event["type"] in deltas] == ["Hello", " world"]
    assert events[-3]["part"]["text"] == "Hello world"


async def test_events_are_numbered_from_zero(client: httpx.AsyncClient) -> None:
    events = await streamed(client)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_nothing_follows_the_end_of_the_response(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=STREAMED)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "[DONE]" not in answer.text


async def test_a_response_begins_without_output_and_ends_as_it_is_when_it_comes_whole(
    client: httpx.AsyncClient,
) -> None:
    same = {"x-request-id": "request-1"}
    events = events_of(await client.post(PATH, json=STREAMED, headers=same))
    begun, ended_ = (as_openai_has_it(events[index]["response"]) for index in (0, -1))
    assert (begun.status, begun.output, begun.usage) == ("in_progress", [], None)
    times = {"created_at", "completed_at"}
    whole = (await client.post(PATH, json=BODY, headers=same)).json()
    assert {key: value for key, value in ended_.to_dict().items() if key not in times} == {
        key: value for key, value in whole.items() if key not in times
    }


async def test_calls_come_as_items_of_their_own(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, *DELTAS, ended("I look. ", CALLS)]
    events = await streamed(client, **TOOLS)
    added, delta = "response.output_item.added", "response.function_call_arguments.delta"
    assert types(events) == [
        *BEGINNING,
        *MESSAGE_BEGINS,
        "response.output_text.delta",
        *MESSAGE_ENDS,
        *(added, delta, delta),
        *CALL_ENDS,
        *(added, delta),
        *CALL_ENDS,
        "response.completed",
    ]
    assert [event["output_index"] for event in events if event["type"] == added] == [0, 1, 2]
    assert [event["delta"] for event in events if event["type"] == delta] == ['{"ci', 'ty":"Rome"}', "{}"]
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message", "function_call", "function_call"]


async def test_each_item_ends_as_the_response_has_it(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, *DELTAS, ended("I look. ", CALLS)]
    events = await streamed(client, **TOOLS)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    ids = [item["id"] for item in done]
    assert len(set(ids)) == len(ids)
    assert {event["item_id"] for event in events if "item_id" in event} == set(ids)


async def test_an_item_begins_in_progress_and_empty(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, *DELTAS, ended("I look. ", CALLS)]
    items = [
        event["item"] for event in await streamed(client, **TOOLS) if event["type"] == "response.output_item.added"
    ]
    assert {item["status"] for item in items} == {"in_progress"}
    assert [item.get("content", item.get("arguments")) for item in items] == [[], "", ""]


async def test_an_answer_without_a_text_is_an_empty_message(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, ended("")]
    assert types(await streamed(client)) == [*BEGINNING, *MESSAGE_BEGINS, *MESSAGE_ENDS, "response.completed"]


async def test_an_answer_that_its_limit_ends_is_incomplete(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, FIRST, ended("Hello", finish_reason="length")]
    *_, item, last = await streamed(client)
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert item["item"]["status"] == "incomplete"


async def test_logprobs_come_with_their_text(client: httpx.AsyncClient, inference: FakeInference) -> None:
    deltas = [FIRST.model_copy(update={"logprobs": (TOLD,)}), DELTAS[1].model_copy(update={"logprobs": (TOLD,)})]
    inference.script = [START, *deltas, ended("Hello", CALLS[:1], logprobs=(TOLD, TOLD))]
    events = await streamed(client, **TOOLS, include=["message.output_text.logprobs"])
    told = [event["logprobs"] for event in events if "logprobs" in event]
    assert [[each["token"] for each in tokens] for tokens in told] == [["Hi"], ["Hi"]]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == told[0]


@pytest.mark.parametrize("before", [[FIRST], DELTAS], ids=["text", "call"])
async def test_a_failure_in_mid_stream_ends_the_response_and_is_a_last_error(
    client: httpx.AsyncClient, inference: FakeInference, before: list[Any]
) -> None:
    inference.script = [START, *before, WorkerDied("It died.")]
    *_, failed, error = await streamed(client, **TOOLS)
    response = as_openai_has_it(failed["response"])
    assert (failed["type"], response.status) == ("response.failed", "failed")
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("server_error", "It died.")
    assert failed["response"]["output"][-1]["status"] == "incomplete"
    assert (error["type"], error["code"], error["message"]) == ("error", "worker_died", "It died.")
    # By this member the clients know an error in a stream, as in one of a chat.
    assert error["error"] == {"message": "It died.", "type": "server_error", "param": None, "code": "worker_died"}


async def test_no_text_can_end_a_line_of_the_stream(client: httpx.AsyncClient, inference: FakeInference) -> None:
    text = "a\u2028b\x85c\r\nd 漢"
    inference.script = [START, FIRST.model_copy(update={"text": text}), ended(text)]
    answer = await client.post(PATH, json=STREAMED)
    assert len(answer.text.splitlines()) == answer.text.count("\n")
    assert events_of(answer)[-1]["response"]["output"][0]["content"][0]["text"] == text
