"""Our answers as OpenAI's: one object at the end, or chunks as the text comes."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.http.openai_problem import OpenAIProblem
from adapter.openai.logprobs import of_chat, of_completion
from adapter.openai.translation import VERSION_SEPARATOR
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, Problem, StartEvent, StreamEvent, TokenLogprob

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What differs between the two kinds of completion; the rest of a choice is the same."""

    id_prefix: str
    object: str
    chunk_object: str
    answer: Callable[[str], Json]
    opening: Json | None
    piece: Callable[[str], Json]
    closing: Json
    logprobs: Callable[[Sequence[TokenLogprob], int], Json]


TEXT = Kind(
    "cmpl-",
    "text_completion",
    "text_completion",
    answer=lambda text: {"text": text},
    opening=None,
    piece=lambda text: {"text": text},
    closing={"text": ""},
    logprobs=of_completion,
)
CHAT = Kind(
    "chatcmpl-",
    "chat.completion",
    "chat.completion.chunk",
    answer=lambda text: {"message": {"role": "assistant", "content": text, "refusal": None}},
    opening={"delta": {"role": "assistant", "content": ""}},
    piece=lambda text: {"delta": {"content": text}},
    closing={"delta": {}},
    logprobs=of_chat,
)


def completion(kind: Kind, response: GenerationResponse) -> Json:
    logprobs = None if response.logprobs is None else kind.logprobs(response.logprobs, 0)
    choice = _choice(kind.answer(response.text), _finish_reason(response), logprobs)
    return _head(kind.id_prefix, kind.object, response) | {"choices": [choice], "usage": _usage(response)}


class Chunks:
    """The Encoding of one stream for OpenAI's clients."""

    def __init__(self, kind: Kind, *, include_usage: bool) -> None:
        self._kind = kind
        self._include_usage = include_usage
        self._head: Json = {}
        self._num_characters = 0

    def encode(self, events: list[StreamEvent]) -> bytes:
        return b"".join(_data(chunk) for event in events for chunk in self._chunks(event)) + (
            b"data: [DONE]\n\n" if isinstance(events[-1], DoneEvent) else b""
        )

    def encode_failure(self, problem: Problem) -> bytes:
        """Without [DONE]: the clients raise their own error for it."""
        return _data(OpenAIProblem.from_problem(problem).model_dump(mode="json"))

    def _chunks(self, event: StreamEvent) -> Iterator[Json]:
        kind = self._kind
        match event:
            case StartEvent():
                self._head = _head(kind.id_prefix, kind.chunk_object, event)
                if kind.opening is not None:
                    yield self._chunk(kind.opening)
            case DeltaEvent(text=text, logprobs=told):
                logprobs = None if told is None else kind.logprobs(told, self._num_characters)
                self._num_characters += len(text)
                yield self._chunk(kind.piece(text), logprobs=logprobs)
            case DoneEvent(response=response):
                yield self._chunk(kind.closing, _finish_reason(response))
                if self._include_usage:
                    yield self._head | {"choices": [], "usage": _usage(response)}

    def _chunk(self, content: Json, finish_reason: str | None = None, logprobs: Json | None = None) -> Json:
        usage = {"usage": None} if self._include_usage else {}
        return self._head | {"choices": [_choice(content, finish_reason, logprobs)]} | usage


def _head(id_prefix: str, kind: str, of: StartEvent | GenerationResponse) -> Json:
    return {
        "id": id_prefix + of.id,
        "object": kind,
        "created": int(time.time()),
        "model": of.model + VERSION_SEPARATOR + of.model_version,
        "system_fingerprint": f"fp_{of.model_digest[:12]}",
    }


def _choice(content: Json, finish_reason: str | None, logprobs: Json | None) -> Json:
    return {"index": 0, **content, "logprobs": logprobs, "finish_reason": finish_reason}


def _finish_reason(response: GenerationResponse) -> str:
    return "length" if response.finish_reason == "length" else "stop"


def _usage(response: GenerationResponse) -> Json:
    return {
        "prompt_tokens": response.prompt_tokens,
        "completion_tokens": response.tokens_generated,
        "total_tokens": response.prompt_tokens + response.tokens_generated,
    }


def _data(chunk: Json) -> bytes:
    # ASCII only: no character of the text can pass for the end of a line (see adapter/event_stream.py).
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
