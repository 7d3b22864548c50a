"""Random requests on every route, with odd texts in every field, and what comes of one."""

import json
import random
from dataclasses import dataclass
from typing import Any

import httpx

from adapter.event_stream import EventDecoder
from adapter.schema import DeltaEvent, DoneEvent, ErrorEvent

_PIECES = (
    *("Once", " upon", " a", " time", "the", " cat", "\n", "  ", "\t", "\r\n", "1, 2, 3", "def f(x):\n    return x"),
    *("<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<think>", "<|user|>", "<|end|>", "<0x0A>", "▁", "##ing"),
    *("café", "naïve", "😀", "👨‍👩‍👧", "é", "नमस्ते", "日本語", "مرحبا", "�", "\ufeff", "\u2028", "\x00", "\x7f", "\x85"),
    *("{{ messages }}", "{% for x in y %}", "<|im_", "end|>", "＜|im_end|＞", "data: [DONE]\n\n", '"}', "\\u0000"),
)
_ROUTES = (*("/generate", "/generate/stream", "/v1/completions", "/v1/chat/completions", "/v1/responses", "/chat/ui"),)
_LIMITS = {"/generate": "max_length", "/generate/stream": "max_length", "/v1/responses": "max_output_tokens"}


@dataclass(frozen=True)
class OddRequest:
    route: str
    body: dict[str, Any]

    @property
    def is_deterministic(self) -> bool:
        return self.body.get("temperature") == 0 or "seed" in self.body

    @property
    def is_ordinary(self) -> bool:
        """Whether nothing in it can be refused by any model."""
        return self.body.get("prompt") == "Once upon a time"


def random_request(chance: random.Random, model: str) -> OddRequest:
    route = chance.choice(_ROUTES)
    body: dict[str, Any] = {"model": model} | _sampling(chance)
    body[_LIMITS.get(route, "max_tokens")] = chance.randint(1, 12)
    match route:
        case "/v1/chat/completions":
            body["messages"] = [_message(chance) for _ in range(chance.randint(1, 4))]
        case "/v1/responses":
            body["input"] = _text(chance) or "a"
            body["instructions"] = chance.choice((None, _text(chance)))
        case "/chat/ui":
            body["messages"] = [_ui_message(chance) for _ in range(chance.randint(1, 4))]
        case _:
            body["prompt"] = "Once upon a time" if chance.random() < 0.2 else _text(chance) or "a"
    if route.startswith("/v1") and chance.random() < 0.5:
        body["stream"] = True
    return OddRequest(route, body)


def _sampling(chance: random.Random) -> dict[str, Any]:
    offered: dict[str, Any] = {
        "temperature": chance.choice((0, 0, 0.7, 1, 2)),
        "top_p": chance.choice((0.1, 0.9, 1.0)),
        "top_k": chance.choice((1, 5, 1_000)),
        "repetition_penalty": chance.choice((0.5, 1.0, 2.0)),
        "seed": chance.randrange(2**53),
        "stop": [_text(chance, 3)[:100] or "x" for _ in range(chance.randint(1, 8))],
    }
    return {name: value for name, value in offered.items() if chance.random() < 0.5}


def _message(chance: random.Random) -> dict[str, Any]:
    content: Any = _text(chance)
    if chance.random() < 0.2:
        content = [{"type": "text", "text": _text(chance)} for _ in range(2)]
    message = {"role": chance.choice(("system", "developer", "user", "assistant")), "content": content}
    return message | ({"name": _text(chance, 2)} if chance.random() < 0.1 else {})


def _ui_message(chance: random.Random) -> dict[str, Any]:
    parts = [{"type": "text", "text": _text(chance)} for _ in range(chance.randint(1, 2))]
    return {"id": "1", "role": chance.choice(("system", "user", "assistant")), "parts": parts}


def _text(chance: random.Random, most: int = 12) -> str:
    if most > 3 and chance.random() < 0.02:
        return "the cat " * 200  # more than a context
    return "".join(chance.choices(_PIECES, k=chance.randint(0, most)))


@dataclass(frozen=True)
class Outcome:
    """A text and why it ended, or the code of the problem."""

    text: str | None
    end: str


async def outcome_of(client: httpx.AsyncClient, request: OddRequest) -> Outcome:
    answer = await client.post(request.route, json=request.body, headers={"cache-control": "no-store"})
    if answer.status_code != 200:
        return Outcome(None, answer.json()["code"])
    match request.route:
        case "/generate/stream":
            return _streamed(answer.content)
        case "/v1/responses" | "/chat/ui":
            read = _response if request.route == "/v1/responses" else _ui_stream
            return read(answer)
        case "/generate":
            return Outcome(answer.json()["text"], answer.json()["finish_reason"])
    if request.body.get("stream"):
        return _chunked(answer.text)
    (choice,) = answer.json()["choices"]
    return Outcome(_content(choice, "message"), choice["finish_reason"])


def _response(answer: httpx.Response) -> Outcome:
    if answer.headers["content-type"].startswith("application/json"):
        return _of_response(answer.json())
    last = _data(answer.text)[-1]
    return Outcome(None, last["code"]) if last["type"] == "error" else _of_response(last["response"])


def _of_response(response: dict[str, Any]) -> Outcome:
    [message] = response["output"]
    return Outcome(message["content"][0]["text"], response["status"])


def _ui_stream(answer: httpx.Response) -> Outcome:
    chunks = _data(answer.text.removesuffix("data: [DONE]\n\n"))
    text = "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")
    return Outcome(text, chunks[-1].get("finishReason", "error"))


def _data(stream: str) -> list[dict[str, Any]]:
    lines = [line for event in stream.split("\n\n") for line in event.split("\n")]
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def _streamed(content: bytes) -> Outcome:
    events = list(EventDecoder().feed(content))
    text = "".join(event.text for event in events if isinstance(event, DeltaEvent))
    match events[-1]:
        case DoneEvent(response=response):
            assert response.text == text
            return Outcome(text, response.finish_reason)
        case ErrorEvent(problem=problem):
            return Outcome(text, problem.code)
    raise AssertionError("a stream without an end")


def _chunked(content: str) -> Outcome:
    *chunks, last = [line.removeprefix("data: ") for line in content.split("\n\n") if line.startswith("data: ")]
    if last != "[DONE]":
        return Outcome(None, json.loads(last)["code"])
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    return Outcome("".join(_content(choice, "delta") for choice in choices), choices[-1]["finish_reason"])


def _content(choice: dict[str, Any], part: str) -> str:
    return choice["text"] if "text" in choice else choice[part].get("content", "")
