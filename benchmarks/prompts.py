"""The first token of the real model in compiled pieces of a prompt, and without: `make bench-prompts`."""

import random
import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.own_stack import compiled, pack
from benchmarks.real_model import MODEL
from benchmarks.report import Table, at_least, goal_table, write_report
from benchmarks.rounds import console, interleave
from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings
from handlers.worker_engine import load_packed_model, worker_engine

THREADS, ROUNDS = 2, 7
LENGTHS = (8, 64, 256, 1_024)  # tokens of a prompt
_LEAST = 1.0
_RUNNING = 4  # rows that a prompt joins
_METHOD = f"""\
SmolLM2-135M-Instruct in the bare engine, with a worker's settings, on {THREADS} threads: milliseconds from a request to
its first token, for a new prompt alone, and for one that joins {_RUNNING} rows that run. *Compiled* computes pieces of
prompts in compiled steps, *eager* in the model itself; both have compiled decode steps. The ratio, of the same round,
is how many times as fast the first token is."""


class FirstToken:
    """Seconds to the first token of a prompt of so many tokens that the engine has not seen."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.perf_counter) -> None:
        self._engine, self._clock = engine, clock
        self._random = random.Random(0)  # noqa: S311 - prompts

    def alone(self, length: int) -> float:
        self._engine.submit("measured", self._tokens(length), 1, SamplingParameters())
        seconds = self._seconds()
        self._engine.cancel_all()
        return seconds

    def joining(self, length: int) -> float:
        for row in range(_RUNNING):
            self._engine.submit(str(row), self._tokens(32), self._engine.context_length, SamplingParameters())
        while self._engine.takes_prompts:
            self._engine.step()
        return self.alone(length)

    def _seconds(self) -> float:
        begin = self._clock()
        while (step := self._engine.step()) is None or "measured" not in step.ids:
            pass
        return self._clock() - begin

    def _tokens(self, length: int) -> list[int]:
        return [self._random.randrange(self._engine.vocabulary) for _ in range(length)]


def measures(dtype: str, clock: Callable[[], float] = time.perf_counter) -> dict[str, Callable[[], float]]:
    """By "compiled" or "eager", how it joins, and the number of tokens."""
    settings = HandlerSettings.model_validate({"dtype": dtype})
    loaded = load_packed_model(MODEL, settings)
    directory = compiled(pack(MODEL, THREADS, name="real-model", dtype=dtype))
    named: dict[str, Callable[[], float]] = {}
    steps = CompiledSteps(directory, loaded.model)
    for name, each in (("compiled", steps), ("eager", steps.without_pieces())):
        first = FirstToken(worker_engine(loaded, settings, each), clock)
        for length in LENGTHS:
            named[f"{name} alone {length}"] = partial(first.alone, length)
            named[f"{name} joining {length}"] = partial(first.joining, length)
    return named


def main() -> None:
    torch.set_num_threads(THREADS)
    console.print("about 6 minutes on a quiet machine, and 10 more where no compiled steps are there")
    goals, lines = [], []
    for dtype in ("float32", "bfloat16"):
        taken = interleave(measures(dtype), ROUNDS)
        for way in ("alone", "joining"):
            for length in LENGTHS:
                mine, own = (taken[f"{name} {way} {length}"] for name in ("compiled", "eager"))
                ratio = own.over(mine)
                named = f"{dtype}, {length} tokens, {way}"
                goals.append(at_least(f"{named}: first token, times as fast as eager", _LEAST, ratio))
                lines.append([named, *(f"{each.in_milliseconds:.0f}" for each in (mine, own)), f"{ratio:.2f}"])
    table = Table(["Prompt", "Compiled, ms", "Eager, ms", "Times as fast"], lines, "First tokens")
    write_report("prompts", title="Compiled pieces of prompts", method=_METHOD, tables=[goal_table(goals), table])


if __name__ == "__main__":
    main()
