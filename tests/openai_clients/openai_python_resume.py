"""Streams with ids by the package `openai`, begun at one gateway and gone on with at another: prints them as JSON."""

import json
import sys
from typing import Any

from openai import OpenAI, Stream

first_url, second_url, model = sys.argv[1:4]
first, second = (OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) for url in (first_url, second_url))
RESUMABLE = {"x-resumable": "true", "cache-control": "no-store"}
LIMITS: dict[str, Any] = {"model": model, "max_tokens": 60, "temperature": 1, "seed": 1, "stream": True}
ASKED: dict[str, dict[str, Any]] = {
    "chat.completions": LIMITS | {"messages": [{"role": "user", "content": "Tell me a story."}]},
    "completions": LIMITS | {"prompt": "Once upon a time"},
}


def route_of(client: OpenAI, name: str) -> Any:
    return client.chat.completions if name.startswith("chat") else client.completions


def piece(chunk: dict[str, Any]) -> str:
    [choice] = chunk["choices"]
    return choice.get("text") or choice.get("delta", {}).get("content") or ""


def read(stream: Stream[Any]) -> tuple[str, set[str]]:
    """The text, and the ids of its chunks."""
    chunks = [chunk.to_dict() for chunk in stream]
    return "".join(map(piece, chunks)), {f"{chunk['id']} {chunk['created']}" for chunk in chunks}


def left(name: str) -> tuple[str, str]:
    """What came up to the last id of a stream that was left after some words, and that id."""
    text, cursor = "", ""
    with route_of(first, name).with_streaming_response.create(**ASKED[name], extra_headers=RESUMABLE) as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                cursor = line.removeprefix("id: ")
            elif line.startswith("data: ") and cursor:
                text += piece(json.loads(line.removeprefix("data: ")))
                if len(text) > 20:
                    break
    return text, cursor


def seen(name: str) -> dict[str, Any]:
    no_ids = {"cache-control": "no-store"}
    whole, _ = read(route_of(first, name).create(**ASKED[name], extra_headers=no_ids))
    with_ids, _ = read(route_of(first, name).create(**ASKED[name], extra_headers=RESUMABLE))
    begun, cursor = left(name)
    headers = RESUMABLE | {"last-event-id": cursor}
    rest, names = read(route_of(second, name).create(**ASKED[name], extra_headers=headers))
    return {"whole": whole, "with_ids": with_ids, "begun": begun, "rest": rest, "names": sorted(names)}


sys.stdout.write(json.dumps({name: seen(name) for name in ASKED}))
