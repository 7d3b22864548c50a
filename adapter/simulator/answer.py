"""One answer of a script, as a worker would tell it: by tokens, which are words with the space before them."""

import json
import time
from collections.abc import Iterator, Sequence

from adapter.call import Call
from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    FinishReason,
    GenerationRequest,
    GenerationResponse,
    StartEvent,
    StreamEvent,
    TokenLogprob,
    TopLogprob,
)
from adapter.simulator.script import Called, Rule, last_words, tokens_of
from adapter.tools import ToolCall, ToolCallDelta

MODEL_DIGEST = "0" * 64


class Answer:
    """It has the length and the end that the request asks for. Its form is the script's, whatever `output` asks for."""

    def __init__(self, request: GenerationRequest, call: Call, rule: Rule) -> None:
        self._began_at = self._first_at = time.monotonic()
        said, self._finish_reason = _ended(rule.said, request)
        self._tokens = said[: request.max_length]
        called = rule.calls if self._finish_reason == "stop" else ()
        self._calls = _calls_of(called, request, call.request_id)
        if self._calls:
            self._finish_reason = "tool_calls"
        self._prompt_tokens = len(getattr(request, "prompt_ids", None) or last_words(request).split())
        self._num_top = request.logprobs
        self._received_at = call.received_at
        self._version = {
            "id": call.request_id,
            "model": request.model,
            "model_version": request.model_version,
            "model_digest": MODEL_DIGEST,
        }

    @property
    def start(self) -> StreamEvent:
        return StartEvent.model_validate(self._version | {"prompt_tokens": self._prompt_tokens})

    def deltas(self) -> Iterator[StreamEvent]:
        for index, text in enumerate(self._tokens):
            if not index:
                self._first_at = time.monotonic()
            logprobs = None if self._num_top is None else (self._logprob(index, text),)
            yield DeltaEvent(index=index, text=text, logprobs=logprobs)
        for index, piece in enumerate(self._pieces_of_calls(), start=len(self._tokens)):
            yield DeltaEvent(index=index, text="", tool_calls=(piece,))

    def _pieces_of_calls(self) -> Iterator[ToolCallDelta]:
        for index, call in enumerate(self._calls or ()):
            yield ToolCallDelta(index=index, id=call.id, name=call.name, arguments="")
            yield ToolCallDelta(index=index, id=None, name=None, arguments=call.arguments)

    def done(self) -> StreamEvent:
        logprobs = [self._logprob(index, text) for index, text in enumerate(self._tokens)]
        response = GenerationResponse.model_validate(
            self._version
            | {
                "text": "".join(self._tokens),
                "tokens_generated": len(self._tokens) + sum(1 for _ in self._pieces_of_calls()),
                "generation_time": time.monotonic() - self._began_at,
                "finish_reason": self._finish_reason,
                "prompt_tokens": self._prompt_tokens,
                "queue_time": self._began_at - self._received_at,
                "time_to_first_token": self._first_at - self._received_at,
                "tool_calls": self._calls,
                "logprobs": None if self._num_top is None else tuple(logprobs),
            }
        )
        return DoneEvent(response=response)

    def _logprob(self, index: int, text: str) -> TokenLogprob:
        """A script is sure of what it says."""
        token = TopLogprob(id=index, token=text, bytes=tuple(text.encode()), logprob=0.0)
        return TokenLogprob(**token.model_dump(), top=(token,) if self._num_top else ())


def _calls_of(called: Sequence[Called], request: GenerationRequest, answer_id: str) -> tuple[ToolCall, ...] | None:
    """None for a request without tools, and no more than one if it wants them one by one."""
    if not getattr(request, "tools", ()):
        return None
    most = None if getattr(request, "parallel_tool_calls", True) else 1
    return tuple(
        ToolCall(id=f"call_{answer_id}_{index}", name=each.name, arguments=json.dumps(each.arguments))
        for index, each in enumerate(called[:most])
    )


def _ended(text: str, request: GenerationRequest) -> tuple[list[str], FinishReason]:
    """All tokens up to the first of the texts at which the answer is to end."""
    stops = [place for stop in request.stop if (place := text.find(stop)) >= 0]
    tokens = tokens_of(text[: min(stops)] if stops else text)
    if len(tokens) > request.max_length:
        return tokens, "length"
    return tokens, "stop_sequence" if stops else "stop"
