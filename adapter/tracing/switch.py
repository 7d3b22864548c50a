"""OpenTelemetry's own variables say whether requests are traced. If not, nothing of it is imported."""

import logging
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Protocol, Self

from starlette.types import Scope

from adapter.call import Trace

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTER = "OTEL_TRACES_EXPORTER"

_log = logging.getLogger(__name__)


class Tracing(Protocol):
    """It is open inside of `async with`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exception: object) -> None: ...

    def begin(self, route_of: Callable[[Scope], str], scope: Scope, received_at: float) -> Trace | None:
        """None for what is not traced, as probes. received_at: time.monotonic()."""


def tracing_for(environment: Mapping[str, str], redaction: str | None) -> Tracing | None:
    """redaction: as in the settings. Raises TracingError where a variable makes no sense."""
    if not _is_wanted(environment):
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        # The variables may be there for all that runs on this machine: they are no reason not to serve.
        _log.warning("no traces: OpenTelemetry's variables ask for them, and torchbridge[otel] is not installed")
        return None
    from adapter.tracing.provider import make_tracing  # noqa: PLC0415

    return make_tracing(environment, redaction)


def _is_wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter := environment.get(_EXPORTER, "").strip():
        return exporter.lower() != "none"
    return any(environment.get(name, "").strip() for name in _ENDPOINTS)
