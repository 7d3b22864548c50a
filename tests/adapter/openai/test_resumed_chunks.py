"""Chunks of /v1 have ids where their caller asks for them, and go on behind one, at any gateway that has the key."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from adapter.gateway import create_app
from adapter.openai.schema import CompletionRequest
from adapter.openai.translation import from_completion
from adapter.schema import WorkerDelta, WorkerRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, answer_to

CHAT = "/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
TEXT = "/v1/completions", {"model": "tiny", "prompt": "Once", "stream": True}
BOTH = pytest.mark.parametrize("asked", [CHAT, TEXT], ids=["chat", "completion"])
RESUMABLE = {"x-resumable": "true"}
START, *_, DONE = answer_to(WorkerRequest(id="1", model="tiny", model_version="1.0", prompt="Once"), "a", "b", "c")
SECOND, LAST = WorkerDelta(index=1, text="b", ids=(40_000,)), WorkerDelta(index=2, text="c")
WHOLE = [START, WorkerDelta(index=0, text="a", ids=(7, 300)), SECOND, [LAST, DONE]]
REST = [START, WorkerDelta(index=0, text="b", ids=(40_000,)), [LAST, DONE]]
Asked = tuple[str, dict[str, Any]]


@dataclass
class Gateway:
    """With a TorchServe of its own."""

    inference: FakeInference = field(default_factory=lambda: FakeInference(WHOLE))

    def __post_init__(self) -> None:
        settings = Settings(cursor_key=SecretStr("a" * 32))
        self.app = create_app(settings, inference=self.inference, registry=ModelRegistry(FakeManagement(), None))

    async def stream(self, asked: Asked, cursor: str = "", **more: object) -> httpx.Response:
        path, body = asked
        return await self.send("POST", path, cursor, json=body | more)

    async def send(self, method: str, path: str, cursor: str, json: object = None) -> httpx.Response:
        headers = RESUMABLE | ({"last-event-id": cursor} if cursor else {})
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, path, json=json, headers=headers)


def events_of(answer: httpx.Response) -> list[tuple[str, Any]]:
    """Each with its id, if it has one, up to [DONE]."""
    assert answer.status_code == 200, answer.text
    *events, done, nothing = answer.text.split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    read = [event.rpartition("data: ") for event in events]
    return [(before.removeprefix("id: ").strip(), json.loads(data)) for before, _, data in read]


def text_of(answer: httpx.Response) -> str:
    choices = [chunk["choices"][0] for _, chunk in events_of(answer)]
    return "".join(choice.get("text", choice.get("delta", {}).get("content", "")) for choice in choices)


def cursor_behind(answer: httpx.Response, text: str) -> str:
    """Of the event that has this text."""
    [cursor] = [cursor for cursor, chunk in events_of(answer) if cursor and f'"{text}"' in json.dumps(chunk)]
    return cursor


@BOTH
async def test_another_gateway_goes_on_with_the_same_answer(asked: Asked) -> None:
    first, rest = await Gateway().stream(asked), Gateway(FakeInference(REST))
    second = await rest.stream(asked, cursor_behind(first, "a"))

    assert text_of(second) == "bc"
    heads = [
        {key: chunk[key] for key in ("id", "created", "model", "object", "system_fingerprint")}
        for answer in (first, second)
        for _, chunk in events_of(answer)
    ]
    assert all(head == heads[0] for head in heads)
    [call] = rest.inference.calls
    assert call.answer_ids == (7, 300)


async def test_the_role_is_not_said_again() -> None:
    first = await Gateway().stream(CHAT)
    second = await Gateway(FakeInference(REST)).stream(CHAT, cursor_behind(first, "a"))

    said = ["role" in chunk["choices"][0]["delta"] for answer in (first, second) for _, chunk in events_of(answer)]
    assert said == [True, *[False] * (len(said) - 1)]


@BOTH
async def test_the_rest_has_ids_of_the_whole(asked: Asked) -> None:
    first = await Gateway().stream(asked)
    second = await Gateway(FakeInference(REST)).stream(asked, cursor_behind(first, "a"))

    assert cursor_behind(second, "b") == cursor_behind(first, "b")


@pytest.mark.parametrize("more", [{"n": 2}, {"logprobs": True}], ids=["several choices", "logprobs"])
async def test_what_could_not_go_on_has_no_ids(more: dict[str, object]) -> None:
    answer = await Gateway().stream(CHAT, **more)

    assert "id: " not in answer.text


async def test_an_id_of_one_route_is_of_no_use_at_another() -> None:
    first = await Gateway().stream(TEXT)
    [same] = from_completion(CompletionRequest.model_validate(TEXT[1]))
    body = same.model_dump(mode="json", exclude_unset=True)
    answer = await Gateway().stream(("/generate/stream", body), cursor_behind(first, "a"))

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_what_is_stopped_does_not_go_on() -> None:
    gateway = Gateway()
    cursor = cursor_behind(await gateway.stream(CHAT), "a")
    stopped = await gateway.send("DELETE", "/generate/stream", cursor)
    answer = await gateway.stream(CHAT, cursor)

    assert stopped.status_code == 204
    assert (answer.status_code, answer.json()["error"]["code"]) == (499, "cancelled")
