"""One answer as the AI SDK's UI message stream, which `useChat` reads.

https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
"""

import json
from collections.abc import Iterator

from adapter.openai.answers import Json
from adapter.openai.event_data import DONE, event_data
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, Problem, StartEvent, StreamEvent
from adapter.tools import ToolCall, ToolCallDelta

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
_TEXT_ID = "0"  # of the one text of an answer
_FINISH_REASONS = {"length": "length", "tool_calls": "tool-calls"}


class UiMessageChunks:
    """The Encoding of such a stream.

    message_id: of the assistant's message that the answer goes on with, after the results of its tools.
    """

    def __init__(self, message_id: str = "") -> None:
        self._message_id = message_id
        self._is_in_text = False
        self._call_ids: dict[int, str] = {}  # by the index of the call

    def is_start(self, event: StreamEvent) -> bool:
        return isinstance(event, StartEvent)

    def encode(self, events: list[StreamEvent]) -> bytes:
        encoded = b"".join(event_data(chunk) for event in events for chunk in self._chunks(event))
        return encoded + DONE if isinstance(events[-1], DoneEvent) else encoded

    def encode_failure(self, problem: Problem) -> bytes:
        """A page gets the words of an error alone."""
        return event_data({"type": "error", "errorText": problem.detail}) + DONE

    def _chunks(self, event: StreamEvent) -> Iterator[Json]:
        match event:
            case StartEvent():
                told = {"model": event.model, "modelVersion": event.model_version, "promptTokens": event.prompt_tokens}
                yield {"type": "start", "messageId": self._message_id or event.id, "messageMetadata": told}
                yield {"type": "start-step"}
            case DeltaEvent(text=text, tool_calls=calls):
                if text:
                    yield from self._more_text(text)
                for call in calls or ():
                    yield from self._more_of_call(call)
            case DoneEvent(response=response):
                yield from self._end(response)

    def _more_text(self, text: str) -> Iterator[Json]:
        if not self._is_in_text:
            self._is_in_text = True
            yield {"type": "text-start", "id": _TEXT_ID}
        yield {"type": "text-delta", "id": _TEXT_ID, "delta": text}

    def _more_of_call(self, call: ToolCallDelta) -> Iterator[Json]:
        if call.id is not None:
            self._call_ids[call.index] = call.id
            yield {"type": "tool-input-start", "toolCallId": call.id, "toolName": call.name}
        if call.arguments:
            call_id = self._call_ids[call.index]
            yield {"type": "tool-input-delta", "toolCallId": call_id, "inputTextDelta": call.arguments}

    def _end(self, response: GenerationResponse) -> Iterator[Json]:
        if self._is_in_text:
            yield {"type": "text-end", "id": _TEXT_ID}
        yield from map(_whole_call, response.tool_calls or ())
        yield {"type": "finish-step"}
        reason = _FINISH_REASONS.get(response.finish_reason, "stop")
        told = {"completionTokens": response.tokens_generated, "generationTime": response.generation_time}
        yield {"type": "finish", "finishReason": reason, "messageMetadata": told}


def _whole_call(call: ToolCall) -> Json:
    """What the page runs. Arguments that the end of an answer cut short are an error that the page may show."""
    told = {"toolCallId": call.id, "toolName": call.name}
    try:
        return {"type": "tool-input-available", **told, "input": json.loads(call.arguments)}
    except ValueError:
        words = "The answer ended within the arguments of this call."
        return {"type": "tool-input-error", **told, "input": call.arguments, "errorText": words}
