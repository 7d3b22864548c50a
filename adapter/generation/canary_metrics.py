"""Metrics of the canaries that run: their share, its outcomes, and the verdict so far."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from adapter.generation.canary import Canaries, Canary
from adapter.generation.canary_rule import Decision, Tally, decide

_VERSION = ("model", "model_version")


class CanaryMetrics(Collector):
    """Counts of this gateway alone. They begin anew with each canary, so they are gauges."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries

    def describe(self) -> Iterator[Metric]:
        """Empty: otherwise a registry would collect all of it to know the names."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        running = self._canaries.running()
        share = _family(
            "share", "Share of the requests without a version that the canary answers, or answers once more."
        )
        requests = _family("requests", "Requests that ended by the version's doing, on either side.", "side")
        failures = _family("failures", "Requests that failed by the version's doing, on either side.", "side")
        verdict = _family("verdict", "1 for what is known of the canary by now.", "verdict")
        for canary in running:
            version = (canary.model, canary.version)
            share.add_metric(version, canary.share)
            for side, tally in _sides(canary):
                requests.add_metric((*version, side), tally.trials)
                failures.add_metric((*version, side), tally.failures)
            decision = decide(canary.rule.judge(canary.counts).values())
            for each in Decision:
                verdict.add_metric((*version, each.value), float(each is decision))
        yield from (share, requests, failures, verdict)


def _sides(canary: Canary) -> Iterator[tuple[str, Tally]]:
    yield "canary", canary.counts.canary
    yield "control", canary.counts.control


def _family(name: str, what: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"torchbridge_canary_{name}", what, labels=(*_VERSION, *labels))
