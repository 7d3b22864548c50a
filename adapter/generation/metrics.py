"""The gateway's counts for Prometheus. Labels hold names of models that exist, never what callers sent."""

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

from adapter.generation.genai_metrics import GenAiMetrics
from adapter.generation.label_limit import LabelLimit
from adapter.installed_versions import installed_versions
from adapter.schema import ErrorCode, GenerationResponse
from adapter.torchserve.served_models import PinnedVersion

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 600)
_SECONDS_PER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_MOST_VERSIONS = 64  # that have series of their own: those counted last

_Metric = TypeVar("_Metric", bound=MetricWrapperBase)


class _OfVersions(dict[tuple[str, str], _Metric]):
    """The series of each (model, version), made when it is first counted in: to look for it each time is slow."""

    def __init__(self, metric: _Metric) -> None:
        super().__init__()
        self._metric = metric

    def forget(self, version: tuple[str, str]) -> None:
        if self.pop(version, None) is not None:
            self._metric.remove(*version)

    def __missing__(self, version: tuple[str, str]) -> _Metric:
        self[version] = series = self._metric.labels(*version)
        return series


class Metrics:
    """The given functions are called at each scrape; longest_wait: in seconds.

    Other collectors are added to `registry`.
    """

    def __init__(
        self,
        num_live: Callable[[], int],
        num_waiting: Callable[[], int],
        num_running: Callable[[], int] = lambda: 0,
        longest_wait: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        Info("torchbridge_build", "What serves, by its versions.", registry=self.registry).info(_versions())
        self.gen_ai = GenAiMetrics(self.registry)
        per_model = ("model", "model_version")

        def counter(name: str, what: str, labels: tuple[str, ...] = per_model) -> Counter:
            return Counter(f"torchbridge_{name}", what, labels, registry=self.registry)

        def histogram(name: str, what: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
            return Histogram(f"torchbridge_{name}_seconds", what, per_model, buckets=buckets, registry=self.registry)

        self._answers = counter("answers", "Whole answers.", (*per_model, "finish_reason", "cached"))
        self._failures = counter("failures", "Generations that failed.", (*per_model, "code"))
        self._retries = counter("retries", "Attempts that were made again.", ())
        self._continuations = counter(
            "continuations", "Attempts that went on with an answer of a worker that died.", ()
        )
        self._prompt_tokens = _OfVersions(counter("prompt_tokens", "Tokens of prompts that the model has read."))
        self._generated_tokens = _OfVersions(counter("generated_tokens", "Tokens that the model has generated."))
        self._first_token = _OfVersions(
            histogram("time_to_first_token", "Time from the request's arrival to the first text.")
        )
        self._queue = _OfVersions(
            histogram("queue_time", "Time from the request's arrival to its start in the worker.")
        )
        self._generation = _OfVersions(
            histogram("generation_time", "Time from the start in the worker to the last token.")
        )
        self._per_token = _OfVersions(histogram("time_per_token", "Generation time over tokens.", _SECONDS_PER_TOKEN))
        for name, what, count in (
            ("live_requests", "Requests that wait, run or are read from the cache.", num_live),
            ("waiting_requests", "Requests that wait for a slot.", num_waiting),
            ("running_requests", "Requests that hold a slot of a worker.", num_running),
            (
                "longest_wait_seconds",
                "How long the first of the requests that wait for a slot has waited.",
                longest_wait,
            ),
        ):
            Gauge(f"torchbridge_{name}", what, registry=self.registry).set_function(count)
        self._last_answer = Gauge(
            "torchbridge_last_answer_timestamp_seconds",
            "When the last whole answer was given, since the Unix epoch; 0 before the first one.",
            registry=self.registry,
        )

        self._limit = LabelLimit(_MOST_VERSIONS, self._forget)

    def add_answer(self, response: GenerationResponse) -> None:
        self._last_answer.set_to_current_time()
        version = (response.model, response.model_version)
        self._limit.use(*version)
        self._answers.labels(*version, response.finish_reason, str(response.cached).lower()).inc()
        self._first_token[version].observe(response.time_to_first_token)
        if response.cached:
            return
        self._queue[version].observe(response.queue_time)
        self._generation[version].observe(response.generation_time)
        self._prompt_tokens[version].inc(response.prompt_tokens)
        self._generated_tokens[version].inc(response.tokens_generated)
        if response.tokens_generated:
            self._per_token[version].observe(response.generation_time / response.tokens_generated)

    def add_failure(self, code: ErrorCode, pinned: PinnedVersion | None) -> None:
        """`pinned` is None for a request that failed before it had a version."""
        model, version = (pinned.model, pinned.version) if pinned else ("", "")
        self._limit.use(model, version)
        self._failures.labels(model, version, code).inc()

    def add_retry(self, *, goes_on: bool = False) -> None:
        """goes_on: whether it goes on with an answer that an earlier attempt has begun."""
        self._retries.inc()
        if goes_on:
            self._continuations.inc()

    def _forget(self, labels: tuple[str, ...]) -> None:
        model, version = labels
        for metric in (self._answers, self._failures):
            metric.remove_by_labels({"model": model, "model_version": version})
        for of_versions in (self._prompt_tokens, self._generated_tokens):
            of_versions.forget((model, version))
        for times in (self._first_token, self._queue, self._generation, self._per_token):
            times.forget((model, version))

    def render(self) -> bytes:
        return generate_latest(self.registry)


def _versions() -> dict[str, str]:
    """The versions of the packages, as `torchbridge --version` has them; our own is `version`."""
    versions = installed_versions()
    return {"version": versions.pop("torchbridge"), **versions}
