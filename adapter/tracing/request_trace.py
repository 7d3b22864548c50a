"""The spans of one HTTP request and of the generations in it, from the times that were noted on the way."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Self

from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.types import Scope

from adapter.call import Call
from adapter.generation.outcomes import End
from adapter.schema import GenerationRequest
from adapter.tracing.contents import Contents
from adapter.tracing.generation_spans import GenerationSpans
from adapter.tracing.wall_clock import WallClock

# Probes and scrapes come every few seconds, and would be most of what there is.
_UNTRACED = frozenset({"/livez", "/readyz", "/health", "/metrics"})
_FIRST_SERVER_ERROR = 500
_LAST_SPANS_SECONDS = 5.0


class RequestTracing:
    def __init__(self, provider: TracerProvider, contents: Contents | None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("torchbridge")
        self._contents = contents

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Sends the spans that have ended, if a collector takes them within a few seconds."""
        # A daemon: nobody waits longer for a collector that does not answer.
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _LAST_SPANS_SECONDS)

    def begin(self, route_of: Callable[[Scope], str], scope: Scope, received_at: float) -> "RequestTrace | None":
        route = route_of(scope)
        if route in _UNTRACED:
            return None
        return RequestTrace(self._tracer, scope, route, received_at, self._contents)


class RequestTrace:
    """A span from the request's arrival to the last byte of its answer, below the caller's own (traceparent)."""

    def __init__(
        self, tracer: trace.Tracer, scope: Scope, route: str, received_at: float, contents: Contents | None
    ) -> None:
        self._clock = WallClock()
        self._span = tracer.start_span(
            f"{scope['method']:.20} {route}",
            propagate.extract(_carrier(scope)),
            SpanKind.SERVER,
            {
                "http.request.method": f"{scope['method']:.20}",
                "http.route": route,
                "url.scheme": scope["scheme"],
                "url.path": scope["path"],
                "network.protocol.version": scope.get("http_version", "1.1"),
            },
            start_time=self._clock.nanoseconds(received_at),
        )
        self._generations = GenerationSpans(tracer, self._span, self._clock, contents)

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    @property
    def span_id(self) -> str | None:
        """None where the sampler has left it out."""
        return trace.format_span_id(self._span.get_span_context().span_id) if self._span.is_recording() else None

    def add_generation(self, request: GenerationRequest, call: Call, end: End, model: str) -> None:
        if self._span.is_recording():
            self._generations.add(request, call, end, model)

    def end(self, request_id: str, status: int, caller: str | None) -> None:
        if self._span.is_recording():
            self._span.set_attribute("http.response.status_code", status)
            self._span.set_attribute("torchbridge.request_id", request_id)
            if caller is not None:
                self._span.set_attribute("torchbridge.caller", caller)
            if status >= _FIRST_SERVER_ERROR:
                self._span.set_attribute("error.type", str(status))
                self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(self._clock.nanoseconds(time.monotonic()))


def _carrier(scope: Scope) -> dict[str, str]:
    """The headers that carry a trace; of several of one name, as one that holds a list (RFC 9110, 5.3)."""
    fields = propagate.get_global_textmap().fields
    carrier: dict[str, str] = {}
    for raw_name, value in scope["headers"]:
        name = raw_name.decode("latin-1")
        if name in fields:
            carrier[name] = f"{carrier[name]},{value.decode('latin-1')}" if name in carrier else value.decode("latin-1")
    return carrier
