"""What a request of OpenAI's API asks of our own."""

from typing import Any

import pytest
from pydantic import ValidationError

from adapter.errors import InvalidRequest
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest
from adapter.openai.translation import from_chat, from_completion
from adapter.schema import GenerationRequest

HELLO = {"role": "user", "content": "Hello"}


def completion(**keys: Any) -> GenerationRequest:
    [request] = from_completion(CompletionRequest.model_validate({"prompt": "Once"} | keys))
    return request


def chat(*messages: dict[str, Any], **keys: Any) -> GenerationRequest:
    [request] = from_chat(ChatCompletionRequest.model_validate({"messages": list(messages or [HELLO])} | keys))
    return request


def refused_field(call: Any, **keys: Any) -> str:
    with pytest.raises((ValidationError, InvalidRequest)) as refusal:
        call(**keys)
    error = refusal.value
    return str(error.errors()[0]["loc"][0]) if isinstance(error, ValidationError) else error.errors[0].field
