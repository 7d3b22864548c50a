"""Our answers as OpenAI's: one object at the end, or chunks as the text comes."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.call import Begun
from adapter.http.openai_problem import OpenAIProblem
from adapter.names import MODEL_VERSION_SEPARATOR
from adapter.openai.event_data import DONE, event_data
from adapter.openai.logprobs import of_chat, of_completion
from adapter.openai.tools import called, called_so_far
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, Problem, StartEvent, StreamEvent, TokenLogprob

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What differs between the two kinds of completion; the rest of a choice is the same."""

    id_prefix: str
    object: str
    chunk_object: str
    answer: Callable[[GenerationResponse], Json]
    opening: Json | None
    piece: Callable[[DeltaEvent], Json]
    closing: Json
    logprobs: Callable[[Sequence[TokenLogprob], int], Json]


def _message(response: GenerationResponse) -> Json:
    """The message of a choice. Without calls it has no list of them: strict clients take an empty one for a call."""
    message: Json = {"role": "assistant", "content": response.text, "refusal": None}
    if not response.tool_calls:
        return {"message": message}
    return {"message": message | {"content": response.text or None, "tool_calls": called(response.tool_calls)}}


def _piece_of_message(event: DeltaEvent) -> Json:
    calls: Json = {"tool_calls": called_so_far(event.tool_calls)} if event.tool_calls else {}
    return {"delta": calls if calls and not event.text else {"content": event.text} | calls}


TEXT = Kind(
    "cmpl-",
    "text_completion",
    "text_completion",
    answer=lambda response: {"text": response.text},
    opening=None,
    piece=lambda event: {"text": event.text},
    closing={"text": ""},
    logprobs=of_completion,
)
CHAT = Kind(
    "chatcmpl-",
    "chat.completion",
    "chat.completion.chunk",
    answer=_message,
    opening={"delta": {"role": "assistant", "content": ""}},
    piece=_piece_of_message,
    closing={"delta": {}},
    logprobs=of_chat,
)


def completion(kind: Kind, responses: Sequence[GenerationResponse], num_choices: int = 1) -> Json:
    """responses: `num_choices` of each prompt, one prompt after the other."""
    choices = []
    for index, response in enumerate(responses):
        logprobs = None if response.logprobs is None else kind.logprobs(response.logprobs, 0)
        choices.append(_choice(index, kind.answer(response), _finish_reason(response), logprobs))
    head = _head(kind.id_prefix, kind.object, responses[0])
    return head | {"choices": choices, "usage": usage(responses, num_choices)}


class Chunks:
    """The Encoding of one stream for OpenAI's clients.

    index: of this choice. id: of the whole answer, if this is one of several, or if its caller may come back to it.
    created: Unix time, if it is not now.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        include_usage: bool,
        index: int = 0,
        id: str | None = None,  # noqa: A002
        created: int | None = None,
    ) -> None:
        self._kind, self._index, self._id, self._created = kind, index, id, created
        self._include_usage = include_usage
        self._head: Json = {}
        self._num_characters = 0

    def go_on(self, begun: Begun) -> None:
        """The caller has the first chunks."""
        whole = StartEvent(
            id=begun.stream,
            model=begun.model,
            model_version=begun.version,
            model_digest=begun.digest,
            prompt_tokens=0,
        )
        self._begin(whole)

    def is_start(self, event: StreamEvent) -> bool:
        return isinstance(event, StartEvent)

    def encode(self, events: list[StreamEvent]) -> bytes:
        encoded = b"".join(map(self.encode_event, events))
        match events[-1]:
            case DoneEvent(response=response):
                return encoded + self.end([response])
        return encoded

    def encode_failure(self, problem: Problem) -> bytes:
        """Without [DONE]: the clients raise their own error for it."""
        return event_data(OpenAIProblem.from_problem(problem).model_dump(mode="json"))

    def encode_event(self, event: StreamEvent) -> bytes:
        return b"".join(map(event_data, self._chunks(event)))

    def end(self, responses: Sequence[GenerationResponse], num_choices: int = 1) -> bytes:
        """What follows the last choice; for `responses`, see completion."""
        used = event_data(self._head | {"choices": [], "usage": usage(responses, num_choices)})
        return (used if self._include_usage else b"") + DONE

    def _chunks(self, event: StreamEvent) -> Iterator[Json]:
        kind = self._kind
        match event:
            case StartEvent():
                self._begin(event)
                if kind.opening is not None:
                    yield self._chunk(kind.opening)
            case DeltaEvent(text=text, logprobs=told):
                logprobs = None if told is None else kind.logprobs(told, self._num_characters)
                self._num_characters += len(text)
                yield self._chunk(kind.piece(event), logprobs=logprobs)
            case DoneEvent(response=response):
                yield self._chunk(kind.closing, _finish_reason(response))

    def _begin(self, start: StartEvent) -> None:
        self._head = _head(self._kind.id_prefix, self._kind.chunk_object, start, self._id, self._created)

    def _chunk(self, content: Json, finish_reason: str | None = None, logprobs: Json | None = None) -> Json:
        none_yet = {"usage": None} if self._include_usage else {}
        return self._head | {"choices": [_choice(self._index, content, finish_reason, logprobs)]} | none_yet


def usage(responses: Sequence[GenerationResponse], num_choices: int) -> Json:
    """A prompt counts once, however many choices it has."""
    prompt_tokens = sum(response.prompt_tokens for response in responses[::num_choices])
    completion_tokens = sum(response.tokens_generated for response in responses)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def _head(
    id_prefix: str,
    kind: str,
    of: StartEvent | GenerationResponse,
    whole: str | None = None,
    created: int | None = None,
) -> Json:
    return {
        "id": id_prefix + (whole or of.id),
        "object": kind,
        "created": int(time.time()) if created is None else created,
        "model": of.model + MODEL_VERSION_SEPARATOR + of.model_version,
        "system_fingerprint": f"fp_{of.model_digest[:12]}",
    }


def _choice(index: int, content: Json, finish_reason: str | None, logprobs: Json | None) -> Json:
    return {"index": index, **content, "logprobs": logprobs, "finish_reason": finish_reason}


def _finish_reason(response: GenerationResponse) -> str:
    return response.finish_reason if response.finish_reason in {"length", "tool_calls"} else "stop"
