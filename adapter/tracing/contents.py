"""Prompts and texts in spans: only where a variable asks for them, cut short, and through a hook where there is one."""

import json
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias

from adapter.generation.outcomes import End
from adapter.schema import ChatGenerationRequest, ChatMessage, GenerationRequest, GenerationResponse
from adapter.tools import ToolCall
from adapter.tracing.errors import TracingError

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_YES = frozenset({"true", "span_only", "span_and_event"})
_NO = frozenset({"", "false", "no_content"})

_MOST_CHARACTERS, _MOST_MESSAGES = 8_192, 64  # of each text; of a conversation, its last ones

_Part: TypeAlias = dict[str, Any]

_log = logging.getLogger(__name__)


class Contents:
    """Texts as the conventions have them on spans: JSON of messages and their parts."""

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact

    def attributes(self, request: GenerationRequest, end: End) -> dict[str, str]:
        """Empty if the hook fails: texts that it has not seen are in no trace."""
        try:
            told = {"gen_ai.input.messages": self._asked(request)}
            if isinstance(end, GenerationResponse):
                told["gen_ai.output.messages"] = [self._answer(end)]
        except Exception:  # noqa: BLE001 - whatever a function of the user's raises
            _log.exception("the redaction of traces failed: this trace has no texts")
            return {}
        return {name: json.dumps(messages, ensure_ascii=False) for name, messages in told.items()}

    def _asked(self, request: GenerationRequest) -> list[_Part]:
        if isinstance(request, ChatGenerationRequest) and request.messages is not None:
            return [self._message(message) for message in request.messages[-_MOST_MESSAGES:]]
        return [{"role": "user", "parts": [self._text(request.prompt)]}]

    def _message(self, message: ChatMessage) -> _Part:
        if message.tool_call_id is not None:
            result = {"type": "tool_call_response", "id": message.tool_call_id, "result": self._told(message.content)}
            return {"role": message.role, "parts": [result]}
        return {"role": message.role, "parts": [self._text(message.content), *map(self._call, message.tool_calls)]}

    def _answer(self, response: GenerationResponse) -> _Part:
        calls = map(self._call, response.tool_calls or ())
        parts = [self._text(response.text), *calls]
        return {"role": "assistant", "parts": parts, "finish_reason": response.finish_reason}

    def _text(self, text: str) -> _Part:
        return {"type": "text", "content": self._told(text)}

    def _call(self, call: ToolCall) -> _Part:
        return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": self._told(call.arguments)}

    def _told(self, text: str) -> str:
        return self._redact(text[:_MOST_CHARACTERS])


def contents_for(environment: Mapping[str, str], redaction: str | None) -> Contents | None:
    """None where texts are not to be in traces. Raises TracingError."""
    asked = environment.get(CAPTURE, "").strip().lower()
    if asked in _NO:
        return None
    if asked not in _YES:
        raise TracingError(f"{CAPTURE} cannot be {asked}: texts are on spans (span_only) or nowhere (no_content).")
    return Contents() if redaction is None else Contents(_hook(redaction))


def _hook(name: str) -> Callable[[str], str]:
    module, _, function = name.partition(":")
    try:
        hook: Callable[[str], str] = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise TracingError(f"TORCHBRIDGE_TRACE_REDACTION: there is no {name}: {error}") from error
    return hook
