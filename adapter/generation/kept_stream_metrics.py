"""Metrics of streams that run on for callers who have left."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from adapter.generation.kept_streams import KeptStreams


class KeptStreamMetrics(Collector):
    def __init__(self, kept: KeptStreams) -> None:
        self._kept = kept

    def collect(self) -> Iterator[Metric]:
        unread = "Streams whose callers have left, and that run on or wait to be found."
        yield GaugeMetricFamily("torchbridge_unread_streams", unread, self._kept.num_unread)
        found = "Streams that their callers have come back to, and that were still there."
        yield CounterMetricFamily("torchbridge_streams_found", found, self._kept.num_found)
        stopped = "Streams that were there to be found, and that somebody has stopped for good."
        yield CounterMetricFamily("torchbridge_streams_stopped", stopped, self._kept.num_stopped)
