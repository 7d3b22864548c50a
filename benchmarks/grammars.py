"""What a JSON schema costs the rows that are bound by one, and those beside it: `make bench-grammars`."""

import time
from collections.abc import Callable
from functools import partial

import torch

from adapter.output import JsonOutput
from benchmarks.own_stack import compiled, pack
from benchmarks.real_model import MODEL
from benchmarks.report import Table, at_least, goal_table, write_report
from benchmarks.rounds import console, interleave
from handlers.compiled_steps import CompiledSteps
from handlers.detokenization import TokenDecoder
from handlers.engine import Engine
from handlers.grammars import Grammars
from handlers.model_loading import LoadedModel
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings
from handlers.worker_engine import load_packed_model, worker_engine

THREADS, ROUNDS, ROWS, TOKENS = 2, 9, 16, 100
_LEAST = 0.9
_ITEM = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "number": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "number", "tags"],
    "additionalProperties": False,
}
_SCHEMA = JsonOutput(schema={"type": "array", "items": _ITEM, "minItems": 50})
_PROMPT = "A list of things in JSON:"
_METHOD = f"""\
SmolLM2-135M-Instruct in the bare engine, with a worker's settings in bfloat16, on {THREADS} threads: tokens/s of {ROWS}
rows at temperature 0.7 while all of them run, {TOKENS} tokens each. *Every row* and *one row* are bound by a JSON
schema, an array of at least 50 objects of a string, an integer and an array of strings. The ratio is of the same
round."""


class TokensPerSecond:
    """Of rows of which so many are bound by the schema."""

    def __init__(self, loaded: LoadedModel, engine: Engine) -> None:
        decoder = TokenDecoder(loaded.tokenizer)
        self._grammars = Grammars(decoder, loaded.stop_token_ids, engine.vocabulary)
        self._prompt, self._engine = loaded.tokenizer(_PROMPT).input_ids, engine

    def measure(self, bound: int) -> float:
        for row in range(ROWS):
            constraint = self._grammars.constraint(_SCHEMA) if row < bound else None
            sampling = SamplingParameters(temperature=0.7, seed=row)
            self._engine.submit(str(row), self._prompt, TOKENS, sampling, constraint)
        while self._engine.takes_prompts:
            self._engine.step()
        steps, begin = 0, time.perf_counter()
        while (step := self._engine.step()) is not None and len(step.ids) == ROWS and not step.ended:
            steps += 1
        seconds = time.perf_counter() - begin
        self._engine.cancel_all()
        return steps * ROWS / seconds


def measures() -> dict[str, Callable[[], float]]:
    settings = HandlerSettings(dtype="bfloat16")
    loaded = load_packed_model(MODEL, settings)
    steps = CompiledSteps(compiled(pack(MODEL, THREADS, name="real-bfloat16", dtype="bfloat16")), loaded.model)
    of = TokensPerSecond(loaded, worker_engine(loaded, settings, steps))
    return {name: partial(of.measure, bound) for name, bound in (("every row", ROWS), ("one row", 1), ("none", 0))}


def main() -> None:
    torch.set_num_threads(THREADS)
    console.print("about 3 minutes on a quiet machine, and 5 more where no compiled steps are there")
    taken = interleave(measures(), ROUNDS)
    ratios = {name: taken[name].over(taken["none"]) for name in ("every row", "one row")}
    goals = [
        at_least(f"Tokens/s with {name} bound to a grammar, over those with none", _LEAST, ratio)
        for name, ratio in ratios.items()
    ]
    lines = [[name, f"{figure:.0f}"] for name, figure in taken.items()]
    tables = [goal_table(goals), Table(["Bound", "Tokens/s"], lines, f"{ROWS} rows")]
    write_report("grammars", title="JSON schemas, in the engine", method=_METHOD, tables=tables)


if __name__ == "__main__":
    main()
