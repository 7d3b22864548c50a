"""What a system prompt costs the second request that has it: `python -m benchmarks.prefix`."""

import random
import time
from collections.abc import Mapping

import torch

from benchmarks.loaded_models import Variant, load
from benchmarks.plots import Bars
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import Figure, interleave_many
from handlers.engine import Engine
from handlers.sampling import SamplingParameters

THREADS = 2
SHARED, OWN = 512, 16  # tokens
_MOST = 0.25
_MODELS = (("25M", torch.float32), ("135M", torch.bfloat16))


class Prompts:
    """Times to the first token of two requests with the same new system prompt."""

    def __init__(self, size: str, dtype: torch.dtype, *, prefix_slots: int = 8) -> None:
        model = load(size, dtype)[Variant.PACKED]
        self._engine = Engine(model, (), slots=4, context_length=1_024, prefix_slots=prefix_slots)
        self._vocabulary = model.config.vocab_size
        self._random = random.Random(0)  # noqa: S311 - prompts

    def measure(self) -> Mapping[str, float]:
        system = self._tokens(SHARED)
        return {name: self._seconds_to_first([*system, *self._tokens(OWN)]) for name in ("first", "second")}

    def _tokens(self, count: int) -> list[int]:
        return [self._random.randrange(self._vocabulary) for _ in range(count)]

    def _seconds_to_first(self, prompt: list[int]) -> float:
        self._engine.submit("request", prompt, 1, SamplingParameters())
        begin = time.perf_counter()
        while self._engine.has_work:
            self._engine.step()
        return time.perf_counter() - begin


def main() -> None:
    torch.set_num_threads(THREADS)
    names = {f"{size} {str(dtype).removeprefix('torch.')}": Prompts(size, dtype) for size, dtype in _MODELS}
    seconds = interleave_many({name: prompts.measure for name, prompts in names.items()})
    goals, lines = [], []
    bars: dict[str, Figure] = {}
    for name, taken in seconds.items():
        ratio = taken["second"].over(taken["first"])
        goals.append(
            Goal(
                f"{name}: first token of the second request over the first's",
                f"at most {_MOST}",
                f"{ratio:.2f}",
                is_reached=ratio.median <= _MOST,
            )
        )
        lines.append([name, *(f"{taken[each].in_milliseconds:.0f}" for each in ("first", "second"))])
        bars |= {f"{name}, {each} request": taken[each].in_milliseconds for each in ("first", "second")}
    write_report(
        "prefix",
        title="A prompt that begins like another one",
        method=(
            f"Milliseconds from a request to its first token in the bare engine on {THREADS} threads, for prompts of "
            f"{SHARED} tokens that two requests share and {OWN} tokens of their own. Each round has a new shared part. "
            "That the answers do not change is what tests/handlers/test_prefix_rows.py checks, against `generate`."
        ),
        tables=[goal_table(goals), Table(["Model", "First request, ms", "Second request, ms"], lines, "First tokens")],
        plots=[Bars("Time to the first token", "ms", bars)],
    )


if __name__ == "__main__":
    main()
