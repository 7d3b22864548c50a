"""Counts the workers that each version has had: more than one is a restart, or somebody who loaded it again."""

from collections.abc import Iterator, Sequence

from adapter.torchserve.served_models import PinnedVersion


class WorkerStarts:
    """Counts for what is served: a version that is gone is forgotten with its count."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], frozenset[tuple[int, str]]] = {}  # of the last look that saw any
        self._counts: dict[tuple[str, str], int] = {}

    def note(self, versions: Sequence[PinnedVersion]) -> None:
        served = {(pinned.model, pinned.version): pinned.workers for pinned in versions}
        for version, workers in served.items():
            if workers:
                new = workers - self._workers.get(version, frozenset())
                self._counts[version] = self._counts.get(version, 0) + len(new)
                self._workers[version] = workers
        for gone in self._counts.keys() - served.keys():
            del self._counts[gone], self._workers[gone]

    def counts(self) -> Iterator[tuple[tuple[str, str], int]]:
        yield from self._counts.items()
