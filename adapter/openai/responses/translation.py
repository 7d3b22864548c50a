"""Requests for a response as chats of ours."""

from typing import Any

from adapter.errors import InvalidRequest
from adapter.openai.messages import Message
from adapter.openai.responses.items import as_messages
from adapter.openai.responses.schema import LOGPROBS, ResponseRequest
from adapter.openai.responses.tools import chosen_tools
from adapter.openai.translation import conversation, output_field, valid
from adapter.schema import MAX_LENGTH, ChatGenerationRequest, FieldError

_NAMES = {
    "max_length": "max_output_tokens",
    "min_length": "min_tokens",
    "prompt": "input",
    "messages": "input",
    "logprobs": "top_logprobs",
    "output": "text.format",
}


def from_response(request: ResponseRequest) -> ChatGenerationRequest:
    return valid(
        ChatGenerationRequest,
        request,
        _NAMES,
        **conversation(_messages(request)),
        **output_field(request.text.format.output),
        **_logprobs(request),
        **chosen_tools(request.tools, request.tool_choice, is_parallel=request.parallel_tool_calls),
        max_length=request.max_output_tokens or MAX_LENGTH,
    )


def _messages(request: ResponseRequest) -> list[Message]:
    messages = as_messages(request.input)
    if not messages:
        detail = "there is nothing to answer: must have a message"
        raise InvalidRequest(f"input: {detail}.", errors=(FieldError(field="input", message=detail),))
    instructions = [Message(role="system", content=request.instructions)] if request.instructions else []
    return instructions + messages


def _logprobs(request: ResponseRequest) -> dict[str, Any]:
    is_asked = LOGPROBS in request.include or request.top_logprobs
    return {"logprobs": request.top_logprobs} if is_asked else {}
