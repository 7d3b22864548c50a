"""The bare engine against the machine's limit, and against the same model without it: `python -m benchmarks.engine`."""

import torch

from benchmarks.loaded_models import Variant, load
from benchmarks.plots import Bars
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import Figure, interleave
from benchmarks.step_times import CONTEXT, seconds_of_engine, seconds_of_forward, seconds_of_generate, seconds_to_read

THREADS = 2
ROWS = (1, 16, 64)
_LEAST_OF_FORWARD, _LEAST_OF_LIMIT, _LEAST_OF_GENERATE, _LEAST_OF_GENERATE_INT8 = 0.85, 0.70, 1.2, 2.0


_HEADER = (
    *("Model", "Rows", "Reading the weights, ms", "Forward, ms", "Packed forward, ms", "Engine, ms", "Engine int8, ms"),
    *("of forward", "of packed forward"),
)


def measure(size: str, dtype: torch.dtype) -> tuple[list[list[str]], list[Goal], dict[str, Figure]]:
    """The rows of the table, the goals, and tokens per second at one stream."""
    variants = load(size, dtype)
    stored, packed = variants[Variant.STORED], variants[Variant.PACKED]
    weights = sum(parameter.nbytes for parameter in stored.parameters())
    name = f"{size} {str(dtype).removeprefix('torch.')}"
    lines, goals = [], []
    speeds: dict[str, Figure] = {}
    for rows in ROWS:
        measures = {
            "read": seconds_to_read(weights),
            "forward": seconds_of_forward(stored, rows),
            "packed forward": seconds_of_forward(packed, rows),
            "engine": seconds_of_engine(packed, rows),
        }
        if Variant.INT8 in variants:
            measures["int8"] = seconds_of_engine(variants[Variant.INT8], rows)
        if rows == 1:
            measures["generate"] = seconds_of_generate(stored)
        seconds = interleave(measures)
        of_forward, of_packed = (
            seconds["forward"].over(seconds["engine"]),
            seconds["packed forward"].over(seconds["engine"]),
        )
        cells = [name, str(rows), *(f"{1e3 * seconds[each].median:.1f}" for each in measures if each != "generate")]
        if Variant.INT8 not in variants:
            cells.append("-")
        lines.append([*cells, f"{of_forward:.2f}", f"{of_packed:.2f}"])
        goals.append(_goal(f"{name}, {rows} rows: of the forward loop", _LEAST_OF_FORWARD, of_forward))
        if rows == 1:
            goals += _goals_of_one_row(name, seconds)
            speeds = {
                f"torchbridge, {name}": _per_second(seconds["engine"]),
                f"generate, {name}": _per_second(seconds["generate"]),
                f"memory's limit, {name}": _per_second(seconds["read"]),
            }
            if "int8" in seconds:
                speeds[f"torchbridge int8, {name}"] = _per_second(seconds["int8"])
    return lines, goals, speeds


def _goals_of_one_row(name: str, seconds: dict[str, Figure]) -> list[Goal]:
    goals = [_goal(f"{name}, 1 row: over generate", _LEAST_OF_GENERATE, seconds["generate"].over(seconds["engine"]))]
    if "int8" in seconds:
        over = seconds["generate"].over(seconds["int8"])
        goals.append(_goal(f"{name}, 1 row, int8: over generate", _LEAST_OF_GENERATE_INT8, over))
    if name.startswith("135M"):
        of_limit = seconds["read"].over(seconds["engine"])
        goals.append(_goal(f"{name}, 1 row: of the memory's limit", _LEAST_OF_LIMIT, of_limit))
    return goals


def _goal(name: str, least: float, ratio: Figure) -> Goal:
    return Goal(name, f"at least {least:g}", f"{ratio:.2f}", is_reached=ratio.median >= least)


def _per_second(seconds: Figure) -> Figure:
    return Figure(tuple(1 / value for value in seconds.values))


def main() -> None:
    torch.set_num_threads(THREADS)
    lines: list[list[str]] = []
    goals: list[Goal] = []
    speeds: dict[str, Figure] = {}
    for size, dtype in [
        ("25M", torch.float32),
        ("25M", torch.bfloat16),
        ("135M", torch.float32),
        ("135M", torch.bfloat16),
    ]:
        more_lines, more_goals, more_speeds = measure(size, dtype)
        lines += more_lines
        goals += more_goals
        speeds |= more_speeds if size == "135M" else {}
    write_report(
        "engine",
        title="The bare engine",
        method=(
            f"Milliseconds of one decode step with {CONTEXT} tokens in the cache of each row, on {THREADS} threads, "
            "without TorchServe or a gateway. *Reading the weights* is one pass over an array as large, the least that "
            "a step can take; *forward* is the unchanged model in a loop with transformers' static cache; *packed "
            "forward* the same with the engine's packed linear layers. The last columns are the engine's speed as a "
            "share of theirs."
        ),
        tables=[goal_table(goals), Table(_HEADER, lines, "Steps")],
        plots=[Bars("Tokens per second at one stream, 135 M parameters", "tokens/s", speeds)],
    )


if __name__ == "__main__":
    main()
