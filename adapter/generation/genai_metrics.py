"""The histograms of OpenTelemetry's semantic conventions for model servers, in Prometheus' names.

Conventions: https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/gen-ai-metrics.md), read in 2026;
the names by OpenTelemetry's compatibility with Prometheus: dots become underscores, and the unit is a suffix.
"""

import time

from prometheus_client import CollectorRegistry, Histogram

from adapter.generation.label_limit import LabelLimit
from adapter.schema import ChatGenerationRequest, ErrorCode, GenerationRequest, GenerationResponse

PROVIDER = "torchbridge"
_MOST_MODELS = 64  # that have series of their own: those counted last
_LABELS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model")

_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_PER_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_FIRST_TOKEN_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class GenAiMetrics:
    """Labels name served models only, whatever callers send, so that there are only so many."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, what: str, buckets: tuple[float, ...], labels: tuple[str, ...] = _LABELS) -> Histogram:
            return Histogram(f"gen_ai_server_{name}_seconds", what, labels, buckets=buckets, registry=registry)

        self._duration = histogram(
            "request_duration", "Time from a request's arrival to its end.", _DURATION_BUCKETS, (*_LABELS, "error_type")
        )
        self._first_token = histogram(
            "time_to_first_token", "Time from a request's arrival to its first token.", _FIRST_TOKEN_BUCKETS
        )
        self._per_token = histogram("time_per_output_token", "Time of each token after the first.", _PER_TOKEN_BUCKETS)
        self._limit = LabelLimit(_MOST_MODELS, self._forget)

    def add_answer(self, request: GenerationRequest, response: GenerationResponse, received_at: float) -> None:
        """received_at: time.monotonic()."""
        self._limit.use(response.model)
        labels = (operation(request), PROVIDER, response.model, response.model)
        duration = time.monotonic() - received_at
        self._duration.labels(*labels, "").observe(duration)
        if response.cached:
            return
        self._first_token.labels(*labels).observe(response.time_to_first_token)
        if response.tokens_generated > 1:
            rest = max(duration - response.time_to_first_token, 0)
            self._per_token.labels(*labels).observe(rest / (response.tokens_generated - 1))

    def add_failure(self, request: GenerationRequest, code: ErrorCode, model: str, received_at: float) -> None:
        """model: the one that it meant, or empty if it failed before that was known."""
        self._limit.use(model)
        labels = (operation(request), PROVIDER, model, model, code)
        self._duration.labels(*labels).observe(time.monotonic() - received_at)

    def _forget(self, labels: tuple[str, ...]) -> None:
        [model] = labels
        for histogram in (self._duration, self._first_token, self._per_token):
            histogram.remove_by_labels({"gen_ai_response_model": model})


def operation(request: GenerationRequest) -> str:
    is_chat = isinstance(request, ChatGenerationRequest) and request.messages is not None
    return "chat" if is_chat else "text_completion"
