"""Our answers as response objects. Members that never change are sent, too: OpenAI's types leave nothing out."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from adapter.names import MODEL_VERSION_SEPARATOR
from adapter.openai.logprobs import of_chat
from adapter.openai.response_format import JsonObjectFormat
from adapter.openai.responses.schema import ResponseRequest, TextForm
from adapter.openai.responses.tools import FunctionTool, ToolChoice
from adapter.schema import GenerationResponse, Problem, SamplingDefaults, StartEvent, TokenLogprob
from adapter.tools import ToolCall

Json = dict[str, Any]

COMPLETED, INCOMPLETE, IN_PROGRESS = "completed", "incomplete", "in_progress"

_ALL_TOKENS = 1.0  # OpenAI's top_p has no null


def whole(
    request: ResponseRequest, response: GenerationResponse, defaults: SamplingDefaults, created_at: float
) -> Json:
    """defaults: of the version that has answered."""
    status = status_of(response)
    calls = response.tool_calls or ()
    output = []
    if response.text or not calls:
        told = _of_text(response.logprobs or (), response.text) if calls else response.logprobs or ()
        output.append(message(response.id, COMPLETED, text_part(response.text, told)))
    output += [function_call(call, COMPLETED) for call in calls]
    output[-1]["status"] = status
    return ended(begun(request, response, defaults, created_at), output, response)


def begun(
    request: ResponseRequest, of: StartEvent | GenerationResponse, defaults: SamplingDefaults, created_at: float
) -> Json:
    """A response that has no output yet."""
    temperature = defaults.temperature if request.temperature is None else request.temperature
    top_p = defaults.top_p if request.top_p is None else request.top_p
    return {
        "id": f"resp_{of.id}",
        "object": "response",
        "created_at": int(created_at),
        "completed_at": None,
        "status": IN_PROGRESS,
        "error": None,
        "incomplete_details": None,
        "model": of.model + MODEL_VERSION_SEPARATOR + of.model_version,
        "output": [],
        "usage": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata,
        "parallel_tool_calls": request.parallel_tool_calls,
        "prompt_cache_key": request.prompt_cache_key,
        "safety_identifier": request.safety_identifier,
        "temperature": temperature,
        "text": {"format": _form(request.text.format)},
        "tool_choice": _choice(request.tool_choice),
        "tools": list(map(_tool, request.tools)),
        "top_logprobs": request.top_logprobs,
        "top_p": _ALL_TOKENS if top_p is None else top_p,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "user": request.user,
        "background": False,
        "conversation": None,
        "previous_response_id": None,
        "prompt": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "truncation": "disabled",
    }


def ended(fixed: Json, output: Sequence[Json], response: GenerationResponse) -> Json:
    """fixed: the members with which it had begun."""
    status = status_of(response)
    return fixed | {
        "status": status,
        "completed_at": int(time.time()) if status == COMPLETED else None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == INCOMPLETE else None,
        "output": output,
        "usage": _usage(response),
    }


def failed(fixed: Json, output: Sequence[Json], problem: Problem) -> Json:
    """OpenAI's codes here are a closed list; the event `error` has ours."""
    return fixed | {
        "status": "failed",
        "output": output,
        "error": {"code": "server_error", "message": problem.detail},
    }


def status_of(response: GenerationResponse) -> str:
    return INCOMPLETE if response.finish_reason == "length" else COMPLETED


def message(answer_id: str, status: str, *content: Json) -> Json:
    return {
        "id": f"msg_{answer_id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": list(content),
    }


def text_part(text: str, told: Sequence[TokenLogprob]) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs(told)}


def logprobs(told: Sequence[TokenLogprob]) -> list[Json]:
    tokens: list[Json] = of_chat(told, 0)["content"]
    return tokens


def function_call(call: ToolCall, status: str) -> Json:
    """call_id: by which its output is known; the other id is the item's."""
    return {
        "id": f"fc_{call.id}",
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def _of_text(told: Iterable[TokenLogprob], text: str) -> list[TokenLogprob]:
    """The logprobs of the text before the calls."""
    taken: list[TokenLogprob] = []
    missing = len(text.encode())
    for each in told:
        if missing <= 0:
            break
        taken.append(each)
        missing -= len(each.bytes)  # and not of `token`: several may make up one character
    return taken


def _usage(response: GenerationResponse) -> Json:
    return {
        "input_tokens": response.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": response.tokens_generated,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": response.prompt_tokens + response.tokens_generated,
    }


def _form(form: TextForm) -> Json:
    """A schema that "json_object" came without is ours."""
    return form.model_dump(by_alias=True, exclude_unset=isinstance(form, JsonObjectFormat))


def _tool(tool: FunctionTool) -> Json:
    return tool.model_dump()


def _choice(choice: ToolChoice) -> Json | str:
    return choice if isinstance(choice, str) else choice.model_dump()
