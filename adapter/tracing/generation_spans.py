"""Spans of a generation that has ended: its cache, its wait, TorchServe's queue, and the worker's prefill and decode.

Names: https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/client-inference.md), read in 2026.
Other names begin with `torchbridge.`.
"""

import time

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from adapter.call import Call
from adapter.generation.genai_metrics import PROVIDER, operation
from adapter.generation.outcomes import End, code_of
from adapter.schema import ErrorCode, GenerationRequest, GenerationResponse
from adapter.timeline import Attempt, Phase, Timeline
from adapter.tracing.contents import Contents
from adapter.tracing.wall_clock import WallClock

_Attributes = dict[str, AttributeValue]

# The names of a request's fields in the conventions, where they differ. Stop strings are texts of the caller's.
_FIELDS = {
    "max_length": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


class GenerationSpans:
    def __init__(self, tracer: trace.Tracer, parent: Span, clock: WallClock, contents: Contents | None) -> None:
        self._tracer, self._parent, self._clock, self._contents = tracer, parent, clock, contents

    def add(self, request: GenerationRequest, call: Call, end: End, model: str) -> None:
        """model: the one that it meant, or empty if it failed before that was known."""
        attributes = _of_request(request, call, model) | _of_end(end, call)
        if self._contents is not None:
            attributes |= self._contents.attributes(request, end)
        now, name = time.monotonic(), f"{operation(request)} {model}".strip()
        span = self._start(name, self._parent, call.timeline.began_at, SpanKind.CLIENT, attributes)
        for phase in call.timeline.phases:
            self._add_phase(phase, span, now)
        self._end(span, now, code_of(end) if isinstance(end, BaseException) else None)

    def _add_phase(self, phase: Phase, parent: Span, now: float) -> None:
        is_attempt = isinstance(phase, Attempt)
        attributes: _Attributes = {} if phase.note is None else {f"torchbridge.{phase.name}.result": phase.note}
        kind = SpanKind.CLIENT if is_attempt else SpanKind.INTERNAL
        span = self._start(phase.name, parent, phase.begin, kind, attributes)
        for part in phase.parts():
            self._end(self._start(part.name, span, part.begin), now if part.end is None else part.end)
        self._end(span, now if phase.end is None else phase.end, phase.failure)

    def _start(
        self,
        name: str,
        parent: Span,
        begin: float,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: _Attributes | None = None,
    ) -> Span:
        context = trace.set_span_in_context(parent)
        return self._tracer.start_span(name, context, kind, attributes, start_time=self._clock.nanoseconds(begin))

    def _end(self, span: Span, at: float, code: ErrorCode | None = None) -> None:
        if code is not None:
            span.set_attribute("error.type", code)
            if code is not ErrorCode.CANCELLED:  # that a caller leaves is no fault
                span.set_status(Status(StatusCode.ERROR, code))
        span.end(self._clock.nanoseconds(at))


def _of_request(request: GenerationRequest, call: Call, model: str) -> _Attributes:
    attributes: _Attributes = {
        "gen_ai.operation.name": operation(request),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": call.is_streamed,
        "gen_ai.output.type": "text" if request.output is None else "json",
        "torchbridge.request_id": call.request_id,
    }
    for field, name in _FIELDS.items():
        if (value := getattr(request, field)) is not None:
            attributes[f"gen_ai.request.{name}"] = value
    return attributes


def _of_end(end: End, call: Call) -> _Attributes:
    attributes: _Attributes = {"torchbridge.attempts": _num_attempts(call.timeline)}
    if isinstance(end, BaseException):
        return attributes
    return attributes | _of_response(end, call)


def _of_response(response: GenerationResponse, call: Call) -> _Attributes:
    attributes: _Attributes = {
        "gen_ai.response.id": response.id,
        "gen_ai.response.model": response.model,
        "gen_ai.response.finish_reasons": [response.finish_reason],
        "gen_ai.usage.input_tokens": response.prompt_tokens,
        "gen_ai.usage.output_tokens": response.tokens_generated,
        "torchbridge.model_version": response.model_version,
        "torchbridge.model_digest": response.model_digest,
        "torchbridge.cached": response.cached,
    }
    if call.is_streamed:
        attributes["gen_ai.response.time_to_first_chunk"] = response.time_to_first_token
    return attributes


def _num_attempts(timeline: Timeline) -> int:
    return sum(isinstance(phase, Attempt) for phase in timeline.phases)
