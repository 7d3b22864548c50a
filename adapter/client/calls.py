"""Each call's request, and how its answer is read. Nothing here sends or waits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from adapter.client.answers import Head, body_reader, read_batch
from adapter.client.chat import ChatDelta, ChatReader, ChatResponse, chat_body, read_chat
from adapter.client.events import EventReader, TextEvent, TextEventReader
from adapter.client.fields import CallOptions, ChatCall, GenerationCall, GenerationFields
from adapter.client.objects import ObjectForm
from adapter.client.request import EVENT_STREAM, Gateway, Request
from adapter.schema import GenerationResponse, Health, ModelList, Problem

_OPTIONS = CallOptions.__optional_keys__

Value = TypeVar("Value")
Event = TypeVar("Event")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Call(Generic[Value]):
    request: Request
    max_retries: int
    read: Callable[[Head, bytes], Value]


@dataclass(frozen=True)
class StreamCall(Generic[Event, Answer]):
    request: Request
    max_retries: int
    reader: EventReader[Event, Answer]


@dataclass(frozen=True)
class Calls:
    gateway: Gateway
    max_retries: int

    def generate_text(self, fields: GenerationCall) -> Call[GenerationResponse]:
        body, options = _split(fields)
        return self._call("POST", "/generate", options, body_reader(GenerationResponse), body)

    def stream_text(self, fields: GenerationCall) -> StreamCall[TextEvent, GenerationResponse]:
        body, options = _split(fields)
        return self._stream("/generate/stream", options, body, TextEventReader())

    def generate_batch(
        self, requests: Sequence[GenerationFields], options: CallOptions
    ) -> Call[tuple[GenerationResponse | Problem, ...]]:
        body = {"requests": list(requests)}
        return self._call("POST", "/generate/batch", options, read_batch, body)

    def chat(self, fields: ChatCall) -> Call[ChatResponse]:
        body, options = _split(fields)
        return self._call("POST", "/v1/chat/completions", options, read_chat, chat_body(body))

    def stream_chat(self, fields: ChatCall) -> StreamCall[ChatDelta, ChatResponse]:
        body, options = _split(fields)
        body = chat_body(body) | {"stream": True, "stream_options": {"include_usage": True}}
        return self._stream("/v1/chat/completions", options, body, ChatReader())

    def generate_object(self, schema: type[Value], fields: Mapping[str, Any]) -> Call[Value]:
        form = ObjectForm(schema)
        asked: Any = {**fields, "output": {"schema": form.schema}}
        call: Call[ChatResponse] | Call[GenerationResponse]
        call = self.chat(asked) if "messages" in asked else self.generate_text(asked)

        def read(head: Head, content: bytes) -> Value:
            answer = call.read(head, content)
            return form.read(answer.text, answer.finish_reason)

        return Call(call.request, call.max_retries, read)

    def models(self, options: CallOptions) -> Call[ModelList]:
        return self._call("GET", "/models", options, body_reader(ModelList))

    def live(self, options: CallOptions) -> Call[Health]:
        return self._call("GET", "/livez", {"max_retries": 0, **options}, body_reader(Health))

    def health(self, options: CallOptions) -> Call[Health]:
        return self._call("GET", "/readyz", {"max_retries": 0, **options}, body_reader(Health))

    def _call(
        self,
        method: str,
        path: str,
        options: CallOptions,
        read: Callable[[Head, bytes], Value],
        body: object = None,
    ) -> Call[Value]:
        return Call(self.gateway.request(method, path, options, body), self._num_retries(options), read)

    def _stream(
        self, path: str, options: CallOptions, body: object, reader: EventReader[Event, Answer]
    ) -> StreamCall[Event, Answer]:
        request = self.gateway.request("POST", path, options, body, EVENT_STREAM)
        return StreamCall(request, self._num_retries(options), reader)

    def _num_retries(self, options: CallOptions) -> int:
        return options.get("max_retries", self.max_retries)


def _split(fields: Mapping[str, Any]) -> tuple[dict[str, Any], CallOptions]:
    """Splits a call's keywords into the body's fields and the options."""
    body = {name: value for name, value in fields.items() if name not in _OPTIONS}
    return body, cast(CallOptions, {name: value for name, value in fields.items() if name in _OPTIONS})
