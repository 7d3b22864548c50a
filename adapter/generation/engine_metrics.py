"""The figures of workers' engines, as Prometheus' families."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from adapter.engine_figures import Distribution, EngineFigures

_Figures = Mapping[tuple[str, str], EngineFigures]  # by model and version
_VERSION = ("model", "model_version")


def engine_families(figures: _Figures) -> Iterator[Metric]:
    yield _histogram("step_seconds", "Time of each step of the engine.", figures)
    yield _histogram("step_rows", "Requests that got a token in a step.", figures)
    yield _tokens(figures)
    for name, what in (
        ("running", "Requests that the engine runs."),
        ("waiting", "Requests that wait in the engine."),
        ("cache_bytes", "Memory for keys and values, whether they are in use or not."),
        ("resident_bytes", "Memory of the workers' processes."),
    ):
        family = GaugeMetricFamily(f"torchbridge_engine_{name}", what, labels=_VERSION)
        for version, each in figures.items():
            family.add_metric(version, getattr(each, name))
        yield family


def _tokens(figures: _Figures) -> Metric:
    family = CounterMetricFamily(
        "torchbridge_engine_tokens",
        "Tokens by their source: prompts that were computed, prompts that were kept from before, or answers.",
        labels=(*_VERSION, "source"),
    )
    for version, each in figures.items():
        family.add_metric((*version, "prompt"), each.prompt_tokens)
        family.add_metric((*version, "prefix"), each.prefix_tokens)
        family.add_metric((*version, "answer"), each.answer_tokens)
    return family


def _histogram(name: str, what: str, figures: _Figures) -> Metric:
    family = HistogramMetricFamily(f"torchbridge_engine_{name}", what, labels=_VERSION)
    for version, each in figures.items():
        distribution: Distribution = getattr(each, name)
        bounds = [*map(str, distribution.bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(distribution.counts)), strict=True))
        family.add_metric(version, buckets, distribution.total)
    return family
