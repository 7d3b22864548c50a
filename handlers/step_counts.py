"""Counts what an engine's steps did. One thread counts, others may read: a number that is a step old is good enough."""

from bisect import bisect_left
from collections.abc import Sequence

import psutil

from adapter.engine_figures import STEP_ROWS, STEP_SECONDS, Distribution, EngineFigures
from handlers.engine import Engine


class StepCounts:
    """What the engine did before, such as its self-check, is not counted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seconds, self._rows = _Counts(STEP_SECONDS), _Counts(STEP_ROWS)
        self._computed_before, self._reused_before = engine.num_computed, engine.num_reused

    def add(self, rows: int, seconds: float) -> None:
        """rows: requests that got a token in this step."""
        self._seconds.add(seconds)
        self._rows.add(rows)

    def figures(self) -> EngineFigures:
        engine = self._engine
        return EngineFigures(
            step_seconds=self._seconds.distribution(),
            step_rows=self._rows.distribution(),
            prompt_tokens=engine.num_computed - self._computed_before,
            prefix_tokens=engine.num_reused - self._reused_before,
            answer_tokens=int(self._rows.total),
            slots=engine.slots,
            running=engine.num_running,
            waiting=engine.num_waiting,
            cache_bytes=engine.cache_bytes,
            resident_bytes=psutil.Process().memory_info().rss,
        )


class _Counts:
    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def distribution(self) -> Distribution:
        return Distribution(bounds=self._bounds, counts=tuple(self._counts), total=self.total)
