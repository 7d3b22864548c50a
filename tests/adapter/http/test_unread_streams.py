"""A caller who has left comes back to a stream that has run on, or stops it for good."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from pydantic import SecretStr

from adapter.event_stream import EventDecoder
from adapter.gateway import create_app
from adapter.schema import DeltaEvent, ErrorEvent, StreamEvent, WorkerDelta, WorkerRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.http.test_metrics import count
from tests.fakes import FakeInference, FakeManagement, answer_to, serving, wait_for

RESUMABLE = {"x-resumable": "true", "x-request-id": "request-1"}
BODY = {"prompt": "Once"}
CHAT = {"id": "chat-1", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hello"}]}]}
START, *_, DONE = answer_to(WorkerRequest(id="request-1", model="tiny", model_version="1.0", **BODY), "a", "b", "c")
FIRST, SECOND = WorkerDelta(index=0, text="a", ids=(7,)), WorkerDelta(index=1, text="b", ids=(8,))
LAST = WorkerDelta(index=2, text="c")


@dataclass
class Gateway:
    """Over a model that writes a text, waits until it may go on, and writes the rest."""

    inference: FakeInference
    may_go_on: threading.Event
    client: httpx.AsyncClient

    async def left(self, body: object = BODY, path: str = "/generate/stream", **headers: str) -> str:
        """The last id of a stream that was left after its first text, when the gateway knows that."""
        asked = {**RESUMABLE, **headers}
        async with self.client.stream("POST", path, json=body, headers=asked) as answer:
            assert answer.status_code == 200
            told = await anext(answer.aiter_text())
        return last_id(told)

    async def back(self, cursor: str) -> httpx.Response:
        headers = RESUMABLE | {"last-event-id": cursor}
        return await self.client.post("/generate/stream", json=BODY, headers=headers)

    async def stop(self, cursor: str) -> httpx.Response:
        return await self.client.delete("/generate/stream", headers={"last-event-id": cursor})

    async def until_unread(self) -> None:
        await wait_for(lambda: "torchbridge_unread_streams 1.0" in httpx.get(f"{self.client.base_url}/metrics").text)


@asynccontextmanager
async def running(seconds: float) -> AsyncIterator[Gateway]:
    may_go_on = threading.Event()

    async def wait() -> None:
        await wait_for(may_go_on.is_set)

    inference = FakeInference([START, FIRST, wait, SECOND, [LAST, DONE]])
    settings = Settings(cursor_key=SecretStr("k" * 32), unread_stream_seconds=seconds)
    app = create_app(settings, inference=inference, registry=ModelRegistry(FakeManagement(), None))
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield Gateway(inference, may_go_on, client)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with running(600) as gateway:
        yield gateway


def events_of(answer: httpx.Response) -> list[StreamEvent]:
    assert answer.status_code == 200, answer.text
    return list(EventDecoder().feed(answer.content))


def last_id(told: str) -> str:
    return told.rpartition("id: ")[2].partition("\n")[0]


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_who_comes_back_reads_on_and_nothing_is_computed_again(gateway: Gateway) -> None:
    cursor = await gateway.left()
    await gateway.until_unread()
    gateway.may_go_on.set()
    *deltas, done = events_of(await gateway.back(cursor))

    assert [delta.index for delta in deltas if isinstance(delta, DeltaEvent)] == [1, 2]
    assert (len(deltas), done.type) == (2, "done")
    assert len(gateway.inference.requests) == 1
    assert await count(gateway.client, "torchbridge_streams_found_total") == 1


async def test_the_ids_of_the_rest_are_of_the_same_stream(gateway: Gateway) -> None:
    cursor = await gateway.left()
    gateway.may_go_on.set()
    rest = await gateway.back(cursor)
    assert (await gateway.stop(last_id(rest.text))).status_code == 204
    assert code_of(await gateway.back(cursor)) == (499, "cancelled")


async def test_a_stream_without_ids_ends_with_its_caller(gateway: Gateway) -> None:
    await gateway.left(**{"x-resumable": "false"})
    await wait_for(gateway.inference.is_closed.is_set)


async def test_without_the_setting_a_stream_ends_with_its_caller() -> None:
    async with running(0) as gateway:
        await gateway.left()
        await wait_for(gateway.inference.is_closed.is_set)


async def test_a_stop_ends_it_and_tells_who_still_reads(gateway: Gateway) -> None:
    async with gateway.client.stream("POST", "/generate/stream", json=BODY, headers=RESUMABLE) as answer:
        pieces = answer.aiter_text()
        cursor = last_id(await anext(pieces))
        stopped = await gateway.stop(cursor)
        assert (stopped.status_code, stopped.content) == (204, b"")
        assert gateway.inference.is_closed.is_set()
        rest = "".join([piece async for piece in pieces])
    [last] = EventDecoder().feed(rest.encode())

    assert isinstance(last, ErrorEvent)
    assert (last.problem.code, last.problem.retryable) == ("cancelled", False)


@pytest.mark.parametrize("seconds", [0, 600])
async def test_what_was_stopped_does_not_go_on(seconds: float) -> None:
    async with running(seconds) as gateway:
        cursor = await gateway.left()
        assert (await gateway.stop(cursor)).status_code == 204
        assert (await gateway.stop(cursor)).status_code == 204

        assert code_of(await gateway.back(cursor)) == (499, "cancelled")
        assert len(gateway.inference.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"last-event-id": ""}, {"last-event-id": "abcd"}])
async def test_a_stop_of_no_stream_is_refused(gateway: Gateway, headers: dict[str, str]) -> None:
    answer = await gateway.client.delete("/generate/stream", headers=headers)

    assert code_of(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "last-event-id"


def chat_stream(chat: str = "chat-1") -> str:
    return f"/chat/ui/{chat}/stream"


async def test_the_last_answer_of_a_chat_is_found_from_its_beginning(gateway: Gateway) -> None:
    await gateway.left(CHAT, "/chat/ui")
    await gateway.until_unread()
    gateway.may_go_on.set()
    found = await gateway.client.get(chat_stream())

    assert found.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert [text for text in "abc" if f'"delta":"{text}"' in found.text] == ["a", "b", "c"]
    assert '"messageId":"request-1"' in found.text
    assert len(gateway.inference.requests) == 1
    assert (await gateway.client.get(chat_stream())).status_code == 204


async def test_a_chats_answer_is_nobody_elses(gateway: Gateway) -> None:
    await gateway.left(CHAT, "/chat/ui", **{"x-user": "ann"})
    await gateway.until_unread()
    for path, headers in ((chat_stream(), {"x-user": "bob"}), (chat_stream("chat-2"), {})):
        assert (await gateway.client.delete(path, headers=headers)).status_code == 204
        assert (await gateway.client.get(path, headers=headers)).status_code == 204
    assert not gateway.inference.is_closed.is_set()


async def test_a_chats_answer_that_is_stopped_is_not_found(gateway: Gateway) -> None:
    await gateway.left(CHAT, "/chat/ui")
    await gateway.until_unread()
    assert (await gateway.client.delete(chat_stream())).status_code == 204
    assert gateway.inference.is_closed.is_set()
    assert (await gateway.client.get(chat_stream())).status_code == 204


@pytest.mark.parametrize("last", ["not asked for", "of an assistant", "without an id"])
async def test_a_chats_answer_is_kept_only_where_it_can_be_told_again(gateway: Gateway, last: str) -> None:
    [question] = CHAT["messages"]
    body = {
        "not asked for": CHAT,
        "of an assistant": CHAT | {"messages": [question, {"id": "m2", "role": "assistant", "parts": []}]},
        "without an id": {"messages": [question]},
    }[last]
    await gateway.left(body, "/chat/ui", **({"x-resumable": "false"} if last == "not asked for" else {}))
    await wait_for(gateway.inference.is_closed.is_set)
