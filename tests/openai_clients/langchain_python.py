"""The package `langchain-openai` against the gateway at `url`: prints what it gave as JSON."""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from langchain_openai import ChatOpenAI, OpenAI
from openai import APIError

url, model = sys.argv[1:3]
SETTINGS = {
    "model": model,
    "base_url": f"{url}/v1",
    "api_key": "a-key-that-is-known",
    "max_tokens": 20,
    "max_retries": 0,
}


def chat(**more: Any) -> ChatOpenAI:
    return ChatOpenAI(**SETTINGS | {"stream_usage": True} | more)


def collect(chunks: Iterable[Any]) -> dict[str, Any]:
    texts, usage = [], None
    for chunk in chunks:
        texts += [chunk.content] if chunk.content else []
        usage = chunk.usage_metadata or usage
    return {
        "texts": texts,
        "usage": {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"]},
    }


def failure(attempt: Callable[[], object]) -> dict[str, Any] | None:
    try:
        attempt()
    except APIError as error:
        status = getattr(error, "status_code", None)
        return {"name": type(error).__name__, "text": str(error), "status": status, "code": error.code}
    return None


seen = {
    "completion": OpenAI(**SETTINGS).invoke("Once"),
    "chat": chat().invoke("Once").content,
    "stream": collect(chat().stream("Once")),
}
if sys.argv[3:] == ["with failures"]:
    seen["failures"] = {
        "unauthorized": failure(lambda: chat(api_key="a-key-that-is-not-known").invoke("Once")),
        "invalid_request": failure(lambda: chat(modalities=["audio"]).invoke("Once")),
        "model_not_found": failure(lambda: chat(model="other").invoke("Once")),
        "overloaded": failure(lambda: list(chat().stream("overloaded"))),
        "rate_limited": failure(lambda: chat().invoke("rate_limited")),
        "context_length_exceeded": failure(lambda: chat().invoke("context_length_exceeded")),
        "worker_died": failure(lambda: list(chat().stream("worker_died"))),
    }
    endless = chat().stream("endless")
    next(endless)
    next(endless)
    endless.close()
    seen["after_departure"] = chat().invoke("departure").content
sys.stdout.write(json.dumps(seen))
