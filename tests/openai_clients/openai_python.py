"""The package `openai` against the gateway at `url`: prints what it gave as JSON."""

import json
import sys
from collections.abc import Callable
from typing import Any

from openai import APIError, OpenAI, Stream

url, model = sys.argv[1:3]
client = OpenAI(base_url=f"{url}/v1", api_key="a-key-that-is-known", max_retries=0)
stranger = OpenAI(base_url=f"{url}/v1", api_key="a-key-that-is-not-known", max_retries=0)


def chat(content: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 20} | more


def collect(stream: Stream[Any]) -> dict[str, Any]:
    texts, usage = [], None
    for chunk in stream:
        texts += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        usage = chunk.usage or usage
    return {"texts": texts, "usage": usage and usage.to_dict()}


def failure(attempt: Callable[[], object]) -> dict[str, Any] | None:
    try:
        attempt()
    except APIError as error:
        status = getattr(error, "status_code", None)
        return {"name": type(error).__name__, "text": str(error), "status": status, "code": error.code}
    return None


create = client.chat.completions.create
with client.chat.completions.stream(**chat("Once")) as helped:
    helper = "".join(event.delta for event in helped if event.type == "content.delta")
seen = {
    "models": [each.id for each in client.models.list()],
    "completion": client.completions.create(model=model, prompt="Once", max_tokens=20).choices[0].text,
    "chat": create(**chat("Once")).choices[0].message.content,
    "stream": collect(create(**chat("Once", stream=True, stream_options={"include_usage": True}))),
    "helper": helper,
}
if sys.argv[3:] == ["with failures"]:
    seen["failures"] = {
        "unauthorized": failure(lambda: stranger.chat.completions.create(**chat("Once"))),
        "invalid_request": failure(lambda: create(**chat("Once", modalities=["audio"]))),
        "model_not_found": failure(lambda: create(**chat("Once", model="other"))),
        "overloaded": failure(lambda: create(**chat("overloaded", stream=True))),
        "rate_limited": failure(lambda: create(**chat("rate_limited"))),
        "context_length_exceeded": failure(lambda: create(**chat("context_length_exceeded"))),
        "worker_died": failure(lambda: collect(create(**chat("worker_died", stream=True)))),
    }
    with create(**chat("endless", stream=True)) as endless:
        next(endless)
    seen["after_departure"] = create(**chat("departure")).choices[0].message.content
sys.stdout.write(json.dumps(seen))
