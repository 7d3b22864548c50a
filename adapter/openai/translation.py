"""OpenAI's requests as ours."""

import re
from typing import Any, TypeVar

from pydantic import ValidationError

from adapter.errors import ModelNotFound
from adapter.invalid_fields import invalid_request
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest, Message, OpenAIRequest
from adapter.schema import NAME_PATTERN, ChatGenerationRequest, ChatMessage, GenerationRequest

VERSION_SEPARATOR = "@"  # no name has one

_SPEAKERS = {"user": "User", "assistant": "Assistant"}

_Request = TypeVar("_Request", bound=GenerationRequest)


def from_completion(request: CompletionRequest) -> GenerationRequest:
    return _valid(
        GenerationRequest, request, {"max_length": "max_tokens"}, prompt=request.prompt, max_length=request.max_tokens
    )


def from_chat(request: ChatCompletionRequest) -> ChatGenerationRequest:
    limit, most = "max_completion_tokens", request.max_completion_tokens
    if most is None:
        limit, most = "max_tokens", request.max_tokens
    return _valid(
        ChatGenerationRequest,
        request,
        {"max_length": limit, "prompt": "messages"},
        prompt=plain_chat(request.messages),
        messages=[ChatMessage(role=_role(message), content=message.content) for message in request.messages],
        max_length=most,
    )


def plain_chat(messages: list[Message]) -> str:
    """The conversation as plain text that the assistant is to go on with, for a model without a chat template."""
    turns = [
        f"{_SPEAKERS[message.role]}: {message.content}\n" if message.role in _SPEAKERS else f"{message.content}\n\n"
        for message in messages
    ]
    return "".join(turns) + f"{_SPEAKERS['assistant']}:"


def model_and_version(model_id: str) -> tuple[str, str | None]:
    """The two names in "name" or "name@version"."""
    model, _, version = model_id.partition(VERSION_SEPARATOR)
    if not re.fullmatch(NAME_PATTERN, model) or (version and not re.fullmatch(NAME_PATTERN, version)):
        raise ModelNotFound(f"There is no model {model_id!r:.130}. GET /v1/models lists them.")
    return model, version or None


def _role(message: Message) -> str:
    return "system" if message.role == "developer" else message.role  # chat templates know no other name for it


def _valid(kind: type[_Request], request: OpenAIRequest, names: dict[str, str], **fields: Any) -> _Request:
    """A request of ours; whatever is wrong with a field is said of OpenAI's `names` for it."""
    if request.model is not None:
        fields["model"], fields["model_version"] = model_and_version(request.model)
    same = request.model_dump(include={"temperature", "top_p", "top_k", "repetition_penalty", "stop", "seed"})
    try:
        return kind(**same, **fields)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        for detail in details:
            field, *rest = detail["loc"]
            detail["loc"] = (names.get(str(field), field), *rest)
        raise invalid_request(details) from None
