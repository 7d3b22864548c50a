"""What tests of batches send, and a model that answers each request by its own words."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from adapter.batches.objects import ENDED
from adapter.call import Call
from adapter.errors import GenerationFailed
from adapter.gateway import create_app
from adapter.schema import GenerationRequest, StreamEvent, WorkerRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, answer_to, serving
from tests.waiting import wait_until

CHATS = "/v1/chat/completions"


class EchoInference(FakeInference):
    """Says the last words again, unless they are to `fail`; while it is held nobody is answered.

    most: after so many requests it is held, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()  # what came, by its last words
        self.order: list[str] = []
        self.is_held = False
        self.most = math.inf

    async def stream(self, request: GenerationRequest, call: Call) -> AsyncGenerator[list[StreamEvent], None]:
        messages = getattr(request, "messages", None)
        words = messages[-1].content if messages else request.prompt
        self.asked[words] += 1
        self.order.append(words)
        start, *rest = answer_to(WorkerRequest.model_validate({**dict(request), "id": call.request_id}), words)
        yield [start]
        while self.is_held or len(self.order) > self.most:  # noqa: ASYNC110 - which another thread says
            await asyncio.sleep(0.001)
        if words.startswith("fail"):
            raise GenerationFailed("The model failed on this request.")
        yield rest


@contextmanager
def batch_gateway(
    directory: Path, inference: FakeInference, management: FakeManagement | None = None, **settings: Any
) -> Iterator[httpx.Client]:
    given = Settings(batch_directory=directory, **settings)
    app = create_app(given, inference=inference, registry=ModelRegistry(management or FakeManagement(), None))
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def line(number: int, words: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"model": "tiny", "messages": [{"role": "user", "content": words or f"question {number}"}]}
    return {"custom_id": f"request-{number}", "method": "POST", "url": CHATS, "body": body} | more


def json_lines(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def upload(client: httpx.Client, content: bytes, **form: str) -> httpx.Response:
    fields = {"purpose": "batch"} | form
    return client.post("/v1/files", files={"file": ("input.jsonl", content)}, data=fields)


def begin(client: httpx.Client, *lines: dict[str, Any], endpoint: str = CHATS, **more: Any) -> dict[str, Any]:
    file_id = upload(client, json_lines(*lines)).raise_for_status().json()["id"]
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h"} | more
    return client.post("/v1/batches", json=body).raise_for_status().json()


def state_of(client: httpx.Client, batch: dict[str, Any]) -> dict[str, Any]:
    return client.get(f"/v1/batches/{batch['id']}").raise_for_status().json()


def wait_for_end(client: httpx.Client, batch: dict[str, Any]) -> dict[str, Any]:
    wait_until(lambda: state_of(client, batch)["status"] in ENDED)
    return state_of(client, batch)


def lines_of(client: httpx.Client, file_id: str | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    content = client.get(f"/v1/files/{file_id}/content").raise_for_status().text
    return [json.loads(each) for each in content.splitlines()]


def text_of(answered: dict[str, Any]) -> str:
    return answered["response"]["body"]["choices"][0]["message"]["content"]
