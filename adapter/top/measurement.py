"""One look at a server after another, and what there is to show of the last seconds."""

import time
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import psutil
from pydantic import BaseModel, Field

from adapter.top.counts import Counts, Version, read_counts
from adapter.top.rates import Rates, rates_between
from adapter.torchserve.loading import describe_versions
from adapter.versions.running_server import RunningServer
from adapter.versions.status import VersionStatus, server_status

WINDOW_SECONDS = 10  # over which rates are taken: answers come whole, and some of them take seconds


class Row(BaseModel):
    """The row of one version. rates: None at the first look."""

    status: VersionStatus = Field(description="What `status` shows of the version.")
    rates: Rates | None = Field(description="What was done between two looks; null at the first one.")
    worker_memory_bytes: int | None = Field(
        description="The resident memory of its workers, in bytes; null if no worker of this machine is known."
    )


class _Look(NamedTuple):
    at: float  # time.monotonic()
    counts: Mapping[Version, Counts]


class Measurement:
    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._looks: deque[_Look] = deque()

    def rows(self) -> list[Row]:
        """Raises what server_status raises."""
        now = _Look(time.monotonic(), read_counts(self._server.gateway.metrics()))
        while len(self._looks) > 1 and now.at - self._looks[1].at >= WINDOW_SECONDS:
            self._looks.popleft()
        rates: dict[Version, Rates] = {}
        if self._looks:
            before = self._looks[0]
            rates = rates_between(before.counts, now.counts, now.at - before.at)
        self._looks.append(now)
        statuses = server_status(self._server)
        memory = self._memory({status.model for status in statuses})
        return [self._row(status, rates, memory) for status in statuses]

    def _row(self, status: VersionStatus, rates: dict[Version, Rates], memory: dict[Version, int]) -> Row:
        version = (status.model, status.version)
        nothing = Rates(
            tokens_per_second=0,
            prompt_tokens_per_second=0,
            answers_per_second=0,
            failures_per_second=0,
            first_token_seconds={},
        )
        return Row(
            status=status,
            rates=rates.get(version, nothing) if len(self._looks) > 1 else None,
            worker_memory_bytes=memory.get(version),
        )

    def _memory(self, models: set[str]) -> dict[Version, int]:
        """Bytes of the workers of each version. TorchServe is asked once for each model."""
        memory: defaultdict[Version, int] = defaultdict(int)
        for model in models:
            for version, description in describe_versions(self._server.management, model).items():
                for worker in description.workers:
                    with suppress(psutil.Error, ValueError):  # -1 is the process of a worker that is started again
                        memory[model, version] += psutil.Process(worker.pid).memory_info().rss
        return memory
