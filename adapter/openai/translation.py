"""OpenAI's requests as ours."""

import re
from typing import Any, TypeVar

from pydantic import ValidationError

from adapter.errors import ModelNotFound, PromptTooLong, TorchbridgeError
from adapter.names import MODEL_VERSION_SEPARATOR, NAME_PATTERN
from adapter.openai.messages import Message
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest, OpenAIRequest, SampledRequest
from adapter.openai.tools import tool_fields
from adapter.output import Output
from adapter.schema import (
    MAX_BATCH_REQUESTS,
    MAX_PROMPT_CHARACTERS,
    MAX_SEED,
    ChatGenerationRequest,
    ChatMessage,
    GenerationRequest,
)
from adapter.tools import ToolCall
from adapter.validation.request_errors import invalid_request, refused_field

_MOST_LOGPROBS = 128  # for one token, in all choices of a prompt: 20 kB, and an answer has thousands of tokens

_NO_TEXT = " "  # the field is not empty; token ids stand in its place

CHAT_NAMES = {"max_length": "max_tokens", "min_length": "min_tokens", "prompt": "messages", "tools.*": "function"}

_SPEAKERS = {"user": "User", "assistant": "Assistant"}
_SAME_NAMES = {"temperature", "top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty"}
_SAME_NAMES |= {"logit_bias", "ignore_eos", "stop", "seed"}

_Request = TypeVar("_Request", bound=GenerationRequest)


def from_completion(request: CompletionRequest, most: int = MAX_BATCH_REQUESTS) -> list[GenerationRequest]:
    """All choices of each prompt in turn. most: the most answers in a call."""
    _check_number(len(request.prompt) * request.n, most)
    return [choice for prompt in request.prompt for choice in _choices(request, _from_prompt(request, prompt))]


def _from_prompt(request: CompletionRequest, prompt: str | list[int]) -> GenerationRequest:
    ids = {} if isinstance(prompt, str) else {"prompt_ids": prompt}
    echoed = request.logprobs if isinstance(prompt, str) else request.logprobs or 0
    if request.echo and request.stream:
        raise refused_field("echo", "an answer that echoes its prompt cannot be streamed")
    return valid(
        ChatGenerationRequest if ids else GenerationRequest,
        request,
        {"max_length": "max_tokens", "min_length": "min_tokens"},
        **output_field(request.response_format.output),
        prompt=prompt if isinstance(prompt, str) else _NO_TEXT,
        max_length=request.max_tokens,
        **({} if request.logprobs is None else {"logprobs": request.logprobs}),
        **({} if echoed is None or not request.echo else {"prompt_logprobs": echoed}),
        **ids,
    )


def from_chat(request: ChatCompletionRequest, most: int = MAX_BATCH_REQUESTS) -> list[GenerationRequest]:
    """All choices of a chat. most: the most answers in a call."""
    _check_number(request.n, most)
    return _choices(request, _from_messages(request))


def _from_messages(request: ChatCompletionRequest) -> ChatGenerationRequest:
    limits = {"max_completion_tokens": request.max_completion_tokens, "max_tokens": request.max_tokens}
    limit = min(limits, key=lambda name: limits[name])
    return valid(
        ChatGenerationRequest,
        request,
        CHAT_NAMES | {"max_length": limit, "logprobs": "top_logprobs"},
        **output_field(request.response_format.output),
        **conversation(request.messages, continues=_continues(request)),
        max_length=limits[limit],
        **({"logprobs": request.top_logprobs} if request.logprobs or request.top_logprobs else {}),
        **tool_fields(request.tools, request.tool_choice, is_parallel=request.parallel_tool_calls),
    )


def _continues(request: ChatCompletionRequest) -> bool:
    """Whether the answer goes on with the text of the last message. Raises InvalidRequest where it cannot."""
    continues, last = request.continue_final_message, request.messages[-1]
    if request.add_generation_prompt is continues:
        raise refused_field("add_generation_prompt", "it is the contrary of continue_final_message: leave it out")
    if continues and (last.role != "assistant" or not last.content or last.tool_calls):
        detail = "the last message has to be the assistant's, with a text and without calls"
        raise refused_field("continue_final_message", detail)
    return continues


def conversation(messages: list[Message], *, continues: bool = False) -> dict[str, Any]:
    """The fields of our own chat request. continues: whether its answer goes on with the text of the last message."""
    return {
        "prompt": plain_chat(messages, continues=continues),
        "messages": [_message(message) for message in messages],
        **({"continue_final_message": True} if continues else {}),
    }


def plain_chat(messages: list[Message], *, continues: bool = False) -> str:
    """The conversation as plain text that the assistant is to go on with, for a model without a chat template."""
    turns = [
        f"{_SPEAKERS[message.role]}: {message.content}\n" if message.role in _SPEAKERS else f"{message.content}\n\n"
        for message in messages
    ]
    text = "".join(turns)
    return text.removesuffix("\n") if continues else text + f"{_SPEAKERS['assistant']}:"


def model_and_version(model_id: str) -> tuple[str, str | None]:
    """The two names in "name" or "name@version"."""
    model, _, version = model_id.partition(MODEL_VERSION_SEPARATOR)
    if not re.fullmatch(NAME_PATTERN, model) or (version and not re.fullmatch(NAME_PATTERN, version)):
        raise ModelNotFound(f"There is no model {model_id!r:.130}. GET /v1/models lists them.")
    return model, version or None


def _check_number(number: int, most: int) -> None:
    if number > most:
        raise refused_field("n", f"this asks for {number} answers, and a call has at most {most}")


def _choices(request: OpenAIRequest, one: GenerationRequest) -> list[GenerationRequest]:
    """The request once for each choice, each with a seed of its own if one was given."""
    if request.best_of not in (None, request.n):
        raise refused_field("best_of", "it is n, or left out: this server gives all answers that it makes")
    if request.n > 1 and one.logprobs is not None and request.n * (one.logprobs + 1) > _MOST_LOGPROBS:
        detail = f"n times one more than the number of likeliest tokens is at most {_MOST_LOGPROBS}"
        raise refused_field("n", detail)
    if one.seed is None:
        return [one] * request.n
    return [one.model_copy(update={"seed": (one.seed + index) % (MAX_SEED + 1)}) for index in range(request.n)]


def _message(message: Message) -> ChatMessage:
    """The message with only what was sent: a version that was packed before there were tools must take it, too."""
    used: dict[str, Any] = {}
    if message.role == "assistant" and message.tool_calls:
        used["tool_calls"] = [
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in message.tool_calls
        ]
    if message.role == "tool" and message.tool_call_id is not None:
        used["tool_call_id"] = message.tool_call_id
    return ChatMessage(role=_role(message), content=message.content, **used)


def _role(message: Message) -> str:
    return "system" if message.role == "developer" else message.role  # chat templates know no other name for it


def valid(kind: type[_Request], request: SampledRequest, names: dict[str, str], **fields: Any) -> _Request:
    """Our own request; whatever is wrong with a field is said of OpenAI's `names` for it.

    "tools.*" in them is the member of a tool that has the tool's own.
    """
    if request.model:  # "" names none, as for vLLM
        fields["model"], fields["model_version"] = model_and_version(request.model)
    try:
        return kind(**_sampling(request), **fields)
    except ValidationError as error:
        raise _refusal(error, names) from None


def _sampling(request: SampledRequest) -> dict[str, Any]:
    """The parameters that were sent. The model's authors decide on others (adapter/generation/model_defaults.py)."""
    sent = request.model_dump(include=_SAME_NAMES, exclude_unset=True)
    if request.min_tokens:
        sent["min_length"] = request.min_tokens
    if request.top_p == 0:  # the likeliest token is all that is left
        return sent | {"temperature": 0, "top_p": None}
    return sent


def output_field(output: Output | None) -> dict[str, Any]:
    """The field `output` of our own request, if there is anything to say in it."""
    return {} if output is None else {"output": output}


def _refusal(error: ValidationError, names: dict[str, str]) -> TorchbridgeError:
    details = error.errors(include_url=False, include_input=False)
    is_too_long = any(detail["type"] == "string_too_long" and detail["loc"] == ("prompt",) for detail in details)
    for detail in details:
        field, *rest = detail["loc"]
        if len(rest) > 1 and (member := names.get(f"{field}.*")):
            rest.insert(1, member)
        detail["loc"] = (names.get(str(field), field), *rest)
    refusal = invalid_request(details)
    if is_too_long:
        # Longer than any prompt may be: for a client it is as if it did not fit into the context.
        words = f"The prompt is too long: this server takes at most {MAX_PROMPT_CHARACTERS:,} characters."
        return PromptTooLong(words, errors=refusal.errors)
    return refusal
