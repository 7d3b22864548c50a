"""Chats in our own words, over the route that OpenAI's clients call: the gateway's route to a chat template."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from adapter.client.answers import Head, parse_json, problem_error, protocol_error
from adapter.client.events import EventReader
from adapter.client.fields import Message
from adapter.client.tool_calls import ToolCall, ToolCallPiece, put_together
from adapter.errors import InvalidRequest
from adapter.event_stream import EventStreamError
from adapter.names import MODEL_VERSION_SEPARATOR
from adapter.schema import FieldError

_ID_PREFIX = "chatcmpl-"
_FINGERPRINT_PREFIX = "fp_"
_NAMES = {"max_length": "max_completion_tokens", "min_length": "min_tokens"}  # the others are the same


class ChatResponse(BaseModel):
    """What the assistant said. `model_digest` is the beginning of the archive's, of twelve characters."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    text: str
    tokens_generated: int
    id: str
    model: str
    model_version: str
    model_digest: str
    finish_reason: Literal["stop", "length", "tool_calls"]
    prompt_tokens: int
    tool_calls: tuple[ToolCall, ...] = ()

    def message(self) -> Message:
        """The answer as a message for the next request's `messages`."""
        if not self.tool_calls:
            return Message(role="assistant", content=self.text)
        return Message(
            role="assistant", content=self.text or None, tool_calls=[call.sent() for call in self.tool_calls]
        )


class ChatDelta(BaseModel):
    """A piece of what the assistant says."""

    model_config = ConfigDict(frozen=True)

    type: Literal["delta"] = "delta"
    text: str


class _Message(BaseModel):
    content: str | None = None
    tool_calls: list[ToolCallPiece] | None = None


class _Choice(BaseModel):
    message: _Message = _Message()
    delta: _Message = _Message()
    finish_reason: Literal["stop", "length", "tool_calls"] | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Completion(BaseModel):
    """A whole answer, or a chunk of a stream."""

    id: str
    model: str
    system_fingerprint: str
    choices: list[_Choice]
    usage: _Usage | None = None


def chat_body(fields: Mapping[str, Any]) -> dict[str, Any]:
    body = {_NAMES.get(name, name): value for name, value in fields.items() if value is not None}
    version = body.pop("model_version", None)
    if version is not None:
        if "model" not in body:
            detail = "A version of a chat's model needs the model's name, too."
            raise InvalidRequest(detail, errors=(FieldError(field="model", message="is needed with model_version"),))
        body["model"] += MODEL_VERSION_SEPARATOR + version
    output = body.pop("output", None)
    if output is not None:
        # OpenAI's servers ask for a name.
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", **output}}
    return body


def read_chat(head: Head, content: bytes) -> ChatResponse:
    try:
        sent = _Completion.model_validate_json(content)
        choice = sent.choices[0]
        pieces = choice.message.tool_calls or []
        return _response(sent, choice.message.content or "", pieces, choice.finish_reason)
    except (ValidationError, IndexError) as error:
        beginning = content.decode(errors="replace")[:100]
        raise protocol_error(head, f"the answer is not the gateway's: {beginning}") from error


class ChatReader(EventReader[ChatDelta, ChatResponse]):
    """The chunks of a chat that is streamed, up to its `[DONE]`."""

    def __init__(self) -> None:
        super().__init__()
        self._finish_reason: str | None = None
        self._pieces: list[ToolCallPiece] = []
        self._last: _Completion | None = None

    def _parse(self, data: str) -> ChatDelta | None:
        if data == "[DONE]":
            self._end()
            return None
        sent = parse_json(data)
        match sent:
            case {"detail": str(), "code": str(), "error": _}:
                raise problem_error(self.head, sent)
        try:
            chunk = self._last = _Completion.model_validate(sent)
        except ValidationError as error:
            raise EventStreamError(f"not a chunk: {data[:100]}") from error
        if not chunk.choices:
            return None
        self._finish_reason = chunk.choices[0].finish_reason or self._finish_reason
        self._pieces += chunk.choices[0].delta.tool_calls or []
        text = chunk.choices[0].delta.content or ""
        self.text += text
        return ChatDelta(text=text) if text else None

    def _end(self) -> None:
        if self._last is None:
            raise EventStreamError("an end without a beginning")
        try:
            self._answer = _response(self._last, self.text, self._pieces, self._finish_reason)
        except ValidationError as error:
            raise EventStreamError("its last chunk does not say why the answer ends, or of how many tokens") from error


def _response(of: _Completion, text: str, pieces: list[ToolCallPiece], finish_reason: str | None) -> ChatResponse:
    """Raises ValidationError where the reason or the usage is missing."""
    model, _, version = of.model.partition(MODEL_VERSION_SEPARATOR)
    sent: dict[str, object] = {
        "text": text,
        "id": of.id.removeprefix(_ID_PREFIX),
        "model": model,
        "model_version": version,
        "model_digest": of.system_fingerprint.removeprefix(_FINGERPRINT_PREFIX),
        "finish_reason": finish_reason,
        "tool_calls": put_together(pieces),
    }
    if of.usage is not None:
        sent |= {"prompt_tokens": of.usage.prompt_tokens, "tokens_generated": of.usage.completion_tokens}
    return ChatResponse.model_validate(sent)
