"""What a busy process beside the worker costs a step: `python -m benchmarks.neighbour`."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from benchmarks.loaded_models import Variant, load
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import interleave_many
from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from handlers.step_threads import StepThreads, fixed_threads
from handlers.thread_choice import ThreadChoice, thread_counts

QUIET_STEPS, STEPS_BESIDE = 40, 80
_MOST = 2.0
CORES = len(os.sched_getaffinity(0))
FIXED, CHOSEN = f"{CORES} threads always", "as the worker chooses them"


@contextmanager
def busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Row:
    """One request that runs, in steps with `threads`."""

    def __init__(self, engine: Engine, threads: Callable[[], StepThreads]) -> None:
        self._engine, self._new_threads = engine, threads

    def measure(self) -> Mapping[str, float]:
        self._threads = self._new_threads()
        self._engine.submit("request", [1, 2, 3], QUIET_STEPS + STEPS_BESIDE + 1, SamplingParameters())
        self._engine.step()
        quiet = self._median(QUIET_STEPS)
        with busy_process():
            beside = self._median(STEPS_BESIDE)
        self._engine.cancel_all()
        return {"quiet": quiet, "beside": beside}

    def _median(self, num_steps: int) -> float:
        seconds = []
        for _ in range(num_steps):
            begin = time.perf_counter()
            self._threads.step(self._engine)
            seconds.append(time.perf_counter() - begin)
        return statistics.median(seconds)


def main() -> None:
    engine = Engine(load("135M", torch.float32)[Variant.PACKED], (), slots=1, context_length=256)
    rows = {
        FIXED: Row(engine, lambda: fixed_threads(CORES)),
        CHOSEN: Row(engine, lambda: StepThreads(ThreadChoice(thread_counts(CORES), CORES), lambda: None)),
    }
    taken = interleave_many({name: row.measure for name, row in rows.items()})
    ratios = {name: each["beside"].over(each["quiet"]) for name, each in taken.items()}
    reached = ratios[CHOSEN].median <= _MOST
    goal = Goal(
        "135M float32, 1 row: beside a busy process over quiet", f"at most {_MOST:g}", f"{ratios[CHOSEN]:.2f}", reached
    )
    lines = [
        [
            name,
            f"{each['quiet'].in_milliseconds:.0f}",
            f"{each['beside'].in_milliseconds:.0f}",
            f"{ratios[name]:.2f}",
        ]
        for name, each in taken.items()
    ]
    write_report(
        "neighbour",
        title="A busy process beside the worker",
        method=(
            f"The median step of one request in the bare engine on {CORES} cores: {QUIET_STEPS} steps with nothing "
            f"else running, and the {STEPS_BESIDE} that follow the start of one process that never waits, those "
            "among them that come before the worker has noticed."
        ),
        tables=[goal_table([goal]), Table(["Threads", "Quiet, ms", "Beside it, ms", "Ratio"], lines, "Steps")],
        plots=[],
    )


if __name__ == "__main__":
    main()
