"""The request that the running code works for: lines that are logged meanwhile are about it."""

import re
from contextvars import ContextVar
from typing import NamedTuple

# https://www.w3.org/TR/trace-context/: later versions may have more after the four.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class RequestIds(NamedTuple):
    """trace_id and span_id: in hexadecimal; the span is our own, of a trace that is recorded here."""

    request_id: str
    trace_id: str | None = None
    span_id: str | None = None


current_request: ContextVar[RequestIds | None] = ContextVar("current_request", default=None)


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id of the caller, whether or not anything is recorded here."""
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    return parent and parent[1]
