"""Runs an engine's steps with as many threads as are best now, and looks at that again while there is nothing to do."""

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.engine_news import Step
from handlers.thread_choice import ThreadChoice, thread_counts

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# Seconds without a request before a look, and from one look to the next, each time twice as many.
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0
# A request waits for what has begun. Where a step takes longer, only steps that are wanted are compared.
_LONGEST_WAIT = 0.5
_TIMED_STEPS = 2


class StepThreads:
    """For one thread, which runs all of it: torch.set_num_threads sets OpenMP's number, for the thread that calls it.

    choice: of the numbers of threads.
    sample_step: does what a step does, for nobody.
    pauses: seconds before the first look and at most.
    longest_wait: seconds of a sample step for which a request may wait; none follows one that took longer.
    """

    def __init__(
        self,
        choice: ThreadChoice,
        sample_step: Callable[[], object],
        *,
        pauses: tuple[float, float] = (_FIRST_PAUSE, _LONGEST_PAUSE),
        longest_wait: float = _LONGEST_WAIT,
    ) -> None:
        self._choice, self._sample_step = choice, sample_step
        self._first_pause, self._longest_pause = pauses
        self._longest_wait = longest_wait
        self._threads: int | None = None  # as this thread has set them
        self._chosen = choice.chosen
        self._pause = self._first_pause
        self._look_at = time.monotonic() + self._pause
        self._is_too_slow = False  # a sample step

    def until_look(self) -> float | None:
        """Seconds, if nothing comes, until `look` is due; None for never."""
        return max(0.0, self._look_at - time.monotonic()) if self._choice.is_open and not self._is_too_slow else None

    def step(self, engine: Engine) -> Step | None:
        is_of_rows_alone = not engine.takes_prompts
        # A trial counts steps of rows alone: a long prompt would have the number that may be the wrong one.
        step, seconds = self._run(engine.step, self._choice.threads if is_of_rows_alone else self._choice.chosen)
        if step is not None and is_of_rows_alone:
            self._took(len(step.ids), seconds)
        self._pause = self._first_pause
        self._look_at = time.monotonic() + self._pause
        return step

    def look(self) -> None:
        """One sample step. The next one is due at once until the look is over."""
        if not self._choice.is_looking:
            self._choice.look()
        before = self._chosen
        _, seconds = self._run(self._sample_step, self._choice.threads)
        self._took(0, seconds)
        if seconds > self._longest_wait:
            self._choice.end_look()
            self._is_too_slow = True
        if not self._choice.is_looking and self._chosen == before:  # else it looks on from there
            self._look_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, self._longest_pause)

    def _run(self, work: Callable[[], _Result], threads: int) -> tuple[_Result, float]:
        """The seconds are the second value."""
        if threads != self._threads:
            self._threads = threads
            torch.set_num_threads(threads)
        begin = time.perf_counter()
        result = work()
        return result, time.perf_counter() - begin

    def _took(self, rows: int, seconds: float) -> None:
        self._choice.took(rows, seconds)
        if self._choice.chosen != self._chosen:
            logger.info("torchbridge: a step has %d threads now, %d before", self._choice.chosen, self._chosen)
            self._chosen = self._choice.chosen


def fixed_threads(count: int) -> StepThreads:
    return StepThreads(ThreadChoice((count,), count), lambda: None)


def threads_for(model: PreTrainedModel, wanted: int | None) -> StepThreads:
    """The number that they begin with holds for the calling thread, too. On a GPU it is as many as are given."""
    if wanted is not None:
        torch.set_num_threads(wanted)
    if wanted is not None or model.device.type != "cpu":
        return fixed_threads(torch.get_num_threads())
    return _measured_threads(model)


def _measured_threads(model: PreTrainedModel) -> StepThreads:
    """Begins with the number that decodes one token fastest here and now."""
    token = torch.zeros(1, 1, dtype=torch.long, device=model.device)

    @torch.inference_mode()
    def sample_step() -> None:
        model(input_ids=token, use_cache=False)

    def seconds_per_step(num_threads: int) -> float:
        torch.set_num_threads(num_threads)
        times = []
        for _ in range(_TIMED_STEPS):
            begin = time.perf_counter()
            sample_step()
            times.append(time.perf_counter() - begin)
        return min(times)

    counts = thread_counts(len(os.sched_getaffinity(0)))
    sample_step()  # the first one pays for allocations
    chosen = min(counts, key=seconds_per_step)
    torch.set_num_threads(chosen)
    return StepThreads(ThreadChoice(counts, chosen), sample_step)
