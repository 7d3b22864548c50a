"""Metrics of what is served right now: each version, its workers, its queue, and the cache that is in use.

A scrape waits for nobody: it shows what TorchServe said last, and has TorchServe asked anew meanwhile.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from adapter.compilation import Compilation, CompilationState
from adapter.engine_figures import EngineFigures
from adapter.generation.admission import Admission
from adapter.generation.engine_metrics import engine_families
from adapter.generation.worker_starts import WorkerStarts
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion

VERSION_LABELS = ("model", "model_version")


class ServedMetrics(Collector):
    """compilations: the directory where workers write how far they are with their steps, and their engines' counts."""

    def __init__(self, registry: ModelRegistry, admission: Admission, compilations: Path) -> None:
        self._registry, self._admission, self._compilations = registry, admission, compilations
        self._starts = WorkerStarts()

    def describe(self) -> Iterator[Metric]:
        """Empty: otherwise a registry would collect all of it to know the names."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        served = self._registry.latest()
        versions = [pinned for model in served for pinned in model.pinned.values()]
        figures = {pinned: found for pinned in versions if (found := self._figures(pinned)) is not None}
        defaults = {(each.model.name, each.model.default_version) for each in served}
        yield _of_all("torchserve_up", "Whether TorchServe has answered the last time.", self._registry.is_answered)
        yield _of_all(
            "kv_cache_usage_ratio",
            "Share of the ready workers' slots that are in use: at 1 the next request has to wait.",
            self._cache_usage(versions, figures),
        )
        yield from self._lines(versions, figures)
        yield _gauge(
            "default_version", "1 for the default version, which a request means that names no version.", versions,
            lambda pinned: (pinned.model, pinned.version) in defaults,
        )  # fmt: skip
        yield self._worker_starts(versions)
        yield from self._compiled(versions)
        yield from engine_families({(each.model, each.version): of for each, of in figures.items()})

    def _lines(self, versions: list[PinnedVersion], figures: dict[PinnedVersion, EngineFigures]) -> Iterator[Metric]:
        def line(pinned: PinnedVersion) -> tuple[int, int]:
            return self._admission.queue(pinned.model, pinned.version)

        yield _gauge("ready_workers", "Workers that can answer.", versions, lambda pinned: len(pinned.workers))
        yield _gauge(
            "slots", "How many requests its workers run at once.", versions,
            lambda pinned: _slots(pinned, figures.get(pinned)),
        )  # fmt: skip
        yield _gauge(
            "model_waiting_requests", "Requests that wait for a slot.", versions, lambda pinned: line(pinned)[0]
        )
        yield _gauge("model_running_requests", "Requests that hold a slot.", versions, lambda pinned: line(pinned)[1])

    def _cache_usage(self, versions: list[PinnedVersion], figures: dict[PinnedVersion, EngineFigures]) -> float:
        slots = sum(_slots(pinned, figures.get(pinned)) for pinned in versions if pinned.workers)
        running = sum(self._admission.queue(pinned.model, pinned.version)[1] for pinned in versions)
        return min(1.0, running / slots) if slots else 1.0  # where there is no slot, there is no free one

    def _worker_starts(self, versions: list[PinnedVersion]) -> Metric:
        self._starts.note(versions)
        family = CounterMetricFamily(
            "torchbridge_worker_starts", "Workers of this version that were seen ready.", labels=VERSION_LABELS
        )
        for version, count in self._starts.counts():
            family.add_metric(version, count)
        return family

    def _compiled(self, versions: list[PinnedVersion]) -> Iterator[Metric]:
        found = {
            pinned: compilation
            for pinned in versions
            if pinned.workers
            and (compilation := Compilation.read(self._compilations, pinned.model, pinned.version)) is not None
        }
        yield _gauge(
            "compiled_steps", "1 where its worker's steps are compiled, 0 where they are not, or not yet.", list(found),
            lambda pinned: found[pinned].state is CompilationState.COMPILED,
        )  # fmt: skip

    def _figures(self, pinned: PinnedVersion) -> EngineFigures | None:
        of_workers = [
            EngineFigures.read(self._compilations, pinned.model, pinned.version, process)
            for process, _ in sorted(pinned.workers)
        ]
        return EngineFigures.together([each for each in of_workers if each is not None])


def _slots(pinned: PinnedVersion, figures: EngineFigures | None) -> int:
    """The engine's slots: on a GPU it may have fewer than its configuration says."""
    return pinned.slots if figures is None else min(pinned.slots, figures.slots)


def _of_all(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"torchbridge_{name}", what, value=value)


def _gauge(name: str, what: str, versions: list[PinnedVersion], value: Callable[[PinnedVersion], float]) -> Metric:
    family = GaugeMetricFamily(f"torchbridge_{name}", what, labels=VERSION_LABELS)
    for pinned in versions:
        family.add_metric((pinned.model, pinned.version), float(value(pinned)))
    return family
