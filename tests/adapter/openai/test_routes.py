import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import httpx
import openai.types
import openai.types.chat
import pytest
from openai import BaseModel

from adapter.errors import GenerationFailed, Overloaded, WorkerDied
from adapter.gateway import create_app
from adapter.openai.answers import CHAT, TEXT, Chunks, Kind, completion
from adapter.schema import ChatMessage, DoneEvent, WorkerRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.gateway_calls import FIRST, START, wait_for_ever
from tests.fakes import FakeInference, FakeManagement, answer_to, wait_for
from tests.frozen_archives import PLAIN

COMPLETIONS = "/v1/completions", {"model": "tiny", "prompt": "Once"}
CHATS = "/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}
BOTH = pytest.mark.parametrize(("path", "body"), [COMPLETIONS, CHATS], ids=["completion", "chat"])
STREAMED = {"stream": True}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
Answer = TypeVar("Answer", bound=BaseModel)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def as_openai_has_it(kind: type[Answer], answer: Any) -> Answer:
    """Their type takes it, and no key of it is unknown there."""
    parsed = kind.model_validate(answer)
    assert parsed.to_dict(exclude_unset=True) == answer
    assert not parsed.model_extra
    return parsed


def data_of(answer: httpx.Response) -> list[Any]:
    events = answer.text.removesuffix("\n\n").split("\n\n")
    return [data if data == "[DONE]" else json.loads(data) for data in (e.removeprefix("data: ") for e in events)]


async def test_a_completion_is_one_of_openais(client: httpx.AsyncClient) -> None:
    answer = await client.post(COMPLETIONS[0], json=COMPLETIONS[1], headers={"x-request-id": "request-1"})
    parsed = as_openai_has_it(openai.types.Completion, answer.json())
    assert (parsed.id, parsed.model, parsed.object) == ("cmpl-request-1", "tiny@1.0", "text_completion")
    assert answer.json()["choices"] == [{"index": 0, "text": "Hello world", "logprobs": None, "finish_reason": "stop"}]
    assert parsed.usage.to_dict() == USAGE


async def test_a_chat_completion_is_one_of_openais(client: httpx.AsyncClient, inference: FakeInference) -> None:
    answer = await client.post(CHATS[0], json=CHATS[1], headers={"x-request-id": "request-1"})
    parsed = as_openai_has_it(openai.types.chat.ChatCompletion, answer.json())
    assert (parsed.id, parsed.model) == ("chatcmpl-request-1", "tiny@1.0")
    assert (parsed.choices[0].message.role, parsed.choices[0].message.content) == ("assistant", "Hello world")
    assert parsed.system_fingerprint.startswith("fp_")
    assert parsed.usage.to_dict() == USAGE
    assert inference.requests[0].messages == (ChatMessage(role="user", content="Hello"),)


async def test_a_streamed_completion_is_chunks_and_done(client: httpx.AsyncClient) -> None:
    *chunks, done = data_of(await client.post(COMPLETIONS[0], json=COMPLETIONS[1] | STREAMED))
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["text"] for choice in choices] == ["Hello", " world", ""]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
    as_openai_has_it(openai.types.Completion, chunks[-1])  # the type does not know the null of the others
    assert done == "[DONE]"


async def test_a_streamed_chat_begins_with_its_role(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHATS[0], json=CHATS[1] | STREAMED)
    *chunks, done = data_of(answer)
    parsed = [as_openai_has_it(openai.types.chat.ChatCompletionChunk, chunk) for chunk in chunks]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [chunk.choices[0].delta.role for chunk in parsed] == ["assistant", None, None, None]
    assert [chunk.choices[0].delta.content for chunk in parsed] == ["", "Hello", " world", None]
    assert parsed[-1].choices[0].finish_reason == "stop"
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in parsed}) == 1
    assert done == "[DONE]"


@BOTH
async def test_usage_is_a_last_chunk_without_choices_and_only_if_asked_for(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    *chunks, last, _ = data_of(await client.post(path, json=body | WITH_USAGE))
    assert (last["choices"], last["usage"]) == ([], USAGE)
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert not any("usage" in chunk for chunk in data_of(await client.post(path, json=body | STREAMED))[:-1])


@pytest.mark.parametrize(("ours", "theirs"), [("stop", "stop"), ("length", "length"), ("stop_sequence", "stop")])
@pytest.mark.parametrize("kind", [TEXT, CHAT], ids=["completion", "chat"])
def test_an_end_has_openais_word(kind: Kind, ours: str, theirs: str) -> None:
    start, *_, done = answer_to(WorkerRequest(id="1", prompt="p", model="tiny", model_version="1.0"), "Hi")
    response = done.response.model_copy(update={"finish_reason": ours})
    chunks = Chunks(kind, include_usage=False).encode([start, DoneEvent(response=response)])
    assert completion(kind, [response])["choices"][0]["finish_reason"] == theirs
    assert f'"finish_reason":"{theirs}"'.encode() in chunks


@BOTH
async def test_a_failure_before_the_first_text_is_a_status_on_a_stream_too(
    client: httpx.AsyncClient, inference: FakeInference, path: str, body: dict[str, Any]
) -> None:
    inference.script = [START, Overloaded("The queue is full.")]
    answer = await client.post(path, json=body | STREAMED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")


@BOTH
async def test_a_failure_in_mid_stream_is_a_last_error_without_done(
    client: httpx.AsyncClient, inference: FakeInference, path: str, body: dict[str, Any]
) -> None:
    inference.script = [START, FIRST, WorkerDied("It died.")]
    last = data_of(await client.post(path, json=body | STREAMED))[-1]
    assert last["error"] == {"message": "It died.", "type": "server_error", "param": None, "code": "worker_died"}
    assert (last["code"], last["status"]) == ("worker_died", 502)


@pytest.mark.parametrize("stream", [False, True])
@BOTH
async def test_a_caller_who_leaves_ends_the_generation(
    address: str, inference: FakeInference, path: str, body: dict[str, Any], stream: bool
) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    async with httpx.AsyncClient(base_url=address) as client:
        asking = asyncio.create_task(client.post(path, json=body | {"stream": stream}, timeout=None))
        await wait_for(lambda: inference.requests)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await wait_for(inference.is_closed.is_set)


async def test_no_text_can_end_a_line_of_the_stream(client: httpx.AsyncClient, inference: FakeInference) -> None:
    text = "a\u2028b\x85c\r\nd 漢"
    inference.script = [START, FIRST.model_copy(update={"text": text}), GenerationFailed("no")]
    answer = await client.post(COMPLETIONS[0], json=COMPLETIONS[1] | STREAMED)
    assert len(answer.text.splitlines()) == answer.text.count("\n")
    assert data_of(answer)[0]["choices"][0]["text"] == text


@pytest.mark.parametrize("stream", [False, True])
@BOTH
async def test_an_answer_says_what_the_cache_did(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], stream: bool
) -> None:
    answer = await client.post(path, json=body | {"stream": stream})
    assert answer.headers["cache-status"].startswith("torchbridge; fwd=")


async def test_models_are_listed_by_their_names(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.served = {"tiny": {"1.0": 1, "2.0": 1}, "endless": {"1.0": 0}}
    answer = (await client.get("/v1/models")).json()
    assert answer["object"] == "list"
    assert [as_openai_has_it(openai.types.Model, model).id for model in answer["data"]] == ["tiny", "endless"]


@pytest.mark.parametrize("model", ["tiny", "tiny@1.0"])
async def test_a_model_is_found_by_its_name_with_and_without_a_version(client: httpx.AsyncClient, model: str) -> None:
    assert (await client.get(f"/v1/models/{model}")).json()["id"] == model


async def test_a_model_was_created_when_its_version_was_deployed(management: FakeManagement, tmp_path: Path) -> None:
    management.served = {"tiny": {"1.0": 1, "2.0": 1}, "gone": {"1.0": 1}}
    for version, deployed_at in (("1.0", 1_700_000_000), ("2.0", 1_800_000_000)):
        archive = shutil.copyfile(PLAIN, tmp_path / f"tiny-{version}.mar")
        os.utime(archive, (deployed_at, deployed_at))
    app = create_app(Settings(), inference=FakeInference(), registry=ModelRegistry(management, None, tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        listed = {each["id"]: each["created"] for each in (await client.get("/v1/models")).json()["data"]}
        second = (await client.get("/v1/models/tiny@2.0")).json()["created"]
    assert (listed, second) == ({"tiny": 1_700_000_000, "gone": 0}, 1_800_000_000)


async def test_a_version_that_is_deployed_again_is_a_new_one(management: FakeManagement, tmp_path: Path) -> None:
    archive = shutil.copyfile(PLAIN, tmp_path / "tiny-1.0.mar")
    registry = ModelRegistry(management, None, tmp_path)
    seen = []
    for deployed_at in (1_700_000_000, 1_800_000_000):
        os.utime(archive, (deployed_at, deployed_at))
        await registry.served_anew()
        seen += [each.archive.stored_at for each in await registry.defaults()]
    assert seen == [1_700_000_000, 1_800_000_000]


@pytest.mark.parametrize("model", ["other", "tiny@2.0", "org/model"])
async def test_a_model_that_is_not_there_is_not_found(client: httpx.AsyncClient, model: str) -> None:
    answer = await client.get(f"/v1/models/{model}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")


@pytest.mark.parametrize("said", [{}, {"temperature": None}], ids=str)
@BOTH
async def test_the_models_authors_have_the_say_where_it_is_silent(
    client: httpx.AsyncClient, inference: FakeInference, path: str, body: Any, said: Any
) -> None:
    """Of this model they say nothing, which is a temperature of 1; our own routes take 0.7."""
    await client.post(path, json=body | said)
    await client.post(path, json=body | {"temperature": 0.2})
    await client.post("/generate", json={"prompt": "Once"})
    assert [request.temperature for request in inference.requests] == [1, 0.2, 0.7]
