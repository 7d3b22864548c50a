"""The bare engine against the machine's limit, and against the same model without it: `python -m benchmarks.engine`."""

from collections.abc import Mapping

import torch

from benchmarks.loaded_models import Variant, load
from benchmarks.own_stack import compiled, pack
from benchmarks.plots import Bars
from benchmarks.random_models import random_model
from benchmarks.report import Goal, Table, at_least, goal_table, write_report
from benchmarks.rounds import Figure, interleave
from benchmarks.step_times import (
    CONTEXT,
    seconds_of_compiled_engine,
    seconds_of_engine,
    seconds_of_forward,
    seconds_of_generate,
    seconds_to_read,
)
from handlers.compiled_steps import CompiledSteps

THREADS = 2
MODELS = (("25M", torch.float32), ("25M", torch.bfloat16), ("135M", torch.float32), ("135M", torch.bfloat16))
ROWS = (1, 16, 64)
_LEAST_OF_FORWARD, _LEAST_OF_LIMIT, _LEAST_OF_GENERATE, _LEAST_OF_GENERATE_INT8 = 0.85, 0.70, 1.2, 2.0

# What is measured, by its name in tables. int8 is there for bfloat16 only, generate for one row.
_TIMED = {
    "read": "Reading the weights",
    "read int8": "Reading int8",
    "generate": "Generate",
    "forward": "Forward",
    "packed forward": "Packed forward",
    "engine": "Engine",
    "compiled": "Engine, compiled",
    "int8": "Engine, int8",
    "compiled int8": "Engine, int8, compiled",
}
_COMPARED = ("packed forward", "engine", "compiled", "int8", "compiled int8")
# The names of the bars.
_SHOWN = {
    "engine": "torchbridge",
    "compiled": "torchbridge, compiled",
    "int8": "torchbridge, int8",
    "compiled int8": "torchbridge, int8, compiled",
    "generate": "generate",
    "read": "memory's limit",
}
_METHOD = f"""\
Milliseconds of one decode step with {CONTEXT} tokens in the cache of each row, on {THREADS} threads, without TorchServe
or a gateway. *Reading the weights* is one pass over an array as large, the least that a step can take; *generate* is
a token of `model.generate`; *forward* the unchanged model in a loop with transformers' static cache; *packed forward*
the same with the engine's packed linear layers; *compiled* the engine with the steps of `torchbridge compile`, and a
cache as large as a worker's."""

Taken = Mapping[tuple[str, int], Mapping[str, Figure]]
"""Seconds of a step, by the model's name and the number of rows."""


def measure(size: str, dtype: torch.dtype) -> Taken:
    directory = random_model(size, dtype)
    variants = load(size, dtype)
    stored, packed = variants[Variant.STORED], variants[Variant.PACKED]
    types = {"dtype": str(dtype).removeprefix("torch.")}  # not what this processor would compute in instead
    steps = CompiledSteps(compiled(pack(directory, THREADS, **types)), packed)
    compiled_engine = seconds_of_compiled_engine(packed, steps)
    int8 = variants.get(Variant.INT8)
    if int8 is not None:
        int8_steps = CompiledSteps(compiled(pack(directory, THREADS, quantization="int8")), int8)
        compiled_int8_engine = seconds_of_compiled_engine(int8, int8_steps)
    weights = sum(parameter.nbytes for parameter in stored.parameters())
    taken = {}
    for rows in ROWS:
        measures = {
            "read": seconds_to_read(weights),
            "forward": seconds_of_forward(stored, rows),
            "packed forward": seconds_of_forward(packed, rows),
            "engine": seconds_of_engine(packed, rows),
            "compiled": compiled_engine(rows),
        }
        if int8 is not None:
            measures["read int8"] = seconds_to_read(weights // 2)
            measures["int8"] = seconds_of_engine(int8, rows)
            measures["compiled int8"] = compiled_int8_engine(rows)
        if rows == 1:
            measures["generate"] = seconds_of_generate(stored)
        taken[directory.name.replace("-", " "), rows] = interleave(measures)
    return taken


def goals(taken: Taken) -> list[Goal]:
    listed = []
    for (name, rows), seconds in taken.items():
        title = f"{name}, {rows} row{'s' if rows > 1 else ''}"
        listed.append(_goal(f"{title}: speed over the forward loop's", _LEAST_OF_FORWARD, seconds, "forward"))
        if rows == 1:
            listed.append(_goal(f"{title}: speed over generate's", _LEAST_OF_GENERATE, seconds, "generate"))
        if rows == 1 and "int8" in seconds:
            plain, with_steps = (seconds["generate"].over(seconds[each]) for each in ("int8", "compiled int8"))
            listed.append(at_least(f"{title}, int8: speed over generate's", _LEAST_OF_GENERATE_INT8, plain, with_steps))
        if rows == 1 and name.startswith("135M"):
            listed.append(
                _goal(f"{title}: share of the speed that reading the weights allows", _LEAST_OF_LIMIT, seconds, "read")
            )
            if "int8" in seconds:
                plain, with_steps = (seconds["read int8"].over(seconds[each]) for each in ("int8", "compiled int8"))
                listed.append(
                    at_least(
                        f"{title}, int8: share of the speed that reading the weights allows",
                        _LEAST_OF_LIMIT,
                        plain,
                        with_steps,
                    )
                )
    return listed


def _goal(name: str, least: float, seconds: Mapping[str, Figure], yardstick: str) -> Goal:
    """How many times as fast as the yardstick the engine is."""
    plain, with_compiled_steps = (seconds[yardstick].over(seconds[engine]) for engine in ("engine", "compiled"))
    return at_least(name, least, plain, with_compiled_steps)


def tables(taken: Taken) -> list[Table]:
    times, ratios = [], []
    for (name, rows), seconds in taken.items():
        row = [name, str(rows)]
        times.append(row + [f"{1e3 * seconds[each].median:.1f}" if each in seconds else "" for each in _TIMED])
        ratios.append(
            row + [f"{seconds['forward'].over(seconds[each]):.2f}" if each in seconds else "" for each in _COMPARED]
        )
    return [
        Table(["Model", "Rows", *_TIMED.values()], times, "Milliseconds of a step"),
        Table(["Model", "Rows", *(_TIMED[each] for each in _COMPARED)], ratios, "Times as fast as the forward loop"),
    ]


def _bars(taken: Taken) -> Bars:
    speeds = {
        f"{shown}, {name}": Figure(tuple(1 / value for value in taken[name, 1][each].values))
        for name in ("135M float32", "135M bfloat16")
        for each, shown in _SHOWN.items()
        if each in taken[name, 1]
    }
    return Bars("Tokens per second at one stream, 135 M parameters", "tokens/s", speeds)


def main() -> None:
    torch.set_num_threads(THREADS)
    taken: dict[tuple[str, int], Mapping[str, Figure]] = {}
    for size, dtype in MODELS:
        taken |= measure(size, dtype)
    write_report(
        "engine",
        title="The bare engine",
        method=_METHOD,
        tables=[goal_table(goals(taken)), *tables(taken)],
        plots=[_bars(taken)],
    )


if __name__ == "__main__":
    main()
