"""Counts of a worker's engine since its load: the worker writes them, and the gateway shows them to Prometheus.

It is packed into archives, and needs nothing but Pydantic.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STEP_ROWS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


class _Figures(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # a worker of a newer archive may say more


class Distribution(_Figures):
    """bounds: the highest value of each bucket but the last, which has none. counts: [bounds + 1], not cumulative."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    def plus(self, other: Self) -> Self:
        """The sum, if both have the same bounds; otherwise this one."""
        if other.bounds != self.bounds:
            return self
        counts = tuple(own + its for own, its in zip(self.counts, other.counts, strict=True))
        return self.model_copy(update={"counts": counts, "total": self.total + other.total})


class EngineFigures(_Figures):
    """
    step_seconds, step_rows: of each step; the rows are the requests that got a token in it.
    prompt_tokens: computed, without the last one of each prompt, which is a row of a step.
    prefix_tokens: of prompts, reused from an earlier request.
    answer_tokens: generated.
    slots: how many requests the engine can run at once; running, waiting: how many run, and wait in it, now.
    cache_bytes: of keys and values, whether they are in use or not; resident_bytes: of the worker's process.
    """

    step_seconds: Distribution
    step_rows: Distribution
    prompt_tokens: int
    prefix_tokens: int
    answer_tokens: int
    slots: int
    running: int
    waiting: int
    cache_bytes: int
    resident_bytes: int

    @classmethod
    def read(cls, directory: Path, model: str, version: str, worker: int) -> Self | None:
        """worker: its process id. None if it has written nothing; workers of older archives never do."""
        try:
            return cls.model_validate_json(file_of_figures(directory, model, version, worker).read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, directory: Path, model: str, version: str) -> None:
        """For this process. Raises OSError."""
        file = file_of_figures(directory, model, version, os.getpid())
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"{file.name}.half")  # a reader meanwhile finds the one before
        half.write_text(self.model_dump_json(), encoding="utf-8")
        half.replace(file)

    @classmethod
    def together(cls, figures: Sequence[Self]) -> Self | None:
        """The sum over all workers of a version; None without one."""
        if not figures:
            return None
        first, *others = figures
        return first if not others else first.plus(cls.together(others) or first)

    def plus(self, other: Self) -> Self:
        """The sum with another worker of the same version."""
        sums = {
            name: mine + getattr(other, name)
            for name in type(self).model_fields
            if isinstance(mine := getattr(self, name), int)
        }
        distributions = {
            "step_seconds": self.step_seconds.plus(other.step_seconds),
            "step_rows": self.step_rows.plus(other.step_rows),
        }
        return self.model_copy(update=sums | distributions)


def file_of_figures(directory: Path, model: str, version: str, worker: int) -> Path:
    return directory / model / f"{version}.{worker}.figures"
