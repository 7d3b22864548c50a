"""`make bench-growth`: how the engine's decode step grows with its rows and with what they have behind them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from benchmarks.command_line import parse_arguments
from benchmarks.plots import Lines
from benchmarks.random_models import random_model
from benchmarks.report import Table, write_report
from benchmarks.rounds import Figure, console, interleave
from benchmarks.step_times import CONTEXT, seconds_of_engine
from handlers.linear_layers import pack_linear_layers
from handlers.model_loading import load_model
from handlers.settings import HandlerSettings

ROWS, FIXED_CONTEXT = (1, 4, 16, 64), CONTEXT
CONTEXTS, FIXED_ROWS = (128, 512, 2_048), 16
_SECONDS_PER_ROUND = 15  # on two cores of an EPYC, for the estimate alone

_METHOD = """\
The engine alone, without TorchServe or a gateway, with the 25M float32 model and packed linear layers as the worker
loads it, on {threads} threads. Greedy steps are timed once all rows run; the prompts' processing is not. Rows that were
admitted first are a few tokens longer."""


def main() -> None:
    arguments = parse_arguments()
    console.print(f"about {(arguments.rounds + 1) * _SECONDS_PER_ROUND / 60:.0f} minutes on a quiet machine")
    model = load_model(random_model("25M", torch.float32), HandlerSettings()).model
    pack_linear_layers(model)
    torch.set_num_threads(arguments.threads)
    points = dict.fromkeys([*((rows, FIXED_CONTEXT) for rows in ROWS), *((FIXED_ROWS, each) for each in CONTEXTS)])
    measures = {
        f"{rows} rows, {context} tokens each": seconds_of_engine(model, rows, context) for rows, context in points
    }
    # As in the worker: beside another thread that has computed, OpenMP's threads do not wait spinning.
    with ThreadPoolExecutor(1) as thread:
        taken = thread.submit(interleave, measures, arguments.rounds).result()
    figures = dict(zip(points, taken.values(), strict=True))
    by_rows = [(rows, figures[rows, FIXED_CONTEXT]) for rows in ROWS]
    by_context = [(FIXED_ROWS, figures[FIXED_ROWS, context]) for context in CONTEXTS]
    write_report(
        "growth",
        title="How a step grows",
        method=_METHOD.format(threads=arguments.threads),
        tables=[
            _table(f"Rows, {FIXED_CONTEXT} tokens each", "Rows", ROWS, by_rows),
            _table(f"Tokens in the cache of each of {FIXED_ROWS} rows", "Tokens", CONTEXTS, by_context),
        ],
        plots=[
            _lines(f"{FIXED_CONTEXT} tokens behind each row", "rows", ROWS, by_rows),
            _lines(f"{FIXED_ROWS} rows", "tokens in the cache of each row", CONTEXTS, by_context),
        ],
    )


Point = tuple[int, Figure]  # rows, and the seconds of their step


def _per_step(point: Point) -> Figure:
    return point[1].in_milliseconds


def _per_token(point: Point) -> Figure:
    return Figure(tuple(1e3 * value / point[0] for value in point[1].values))


def _table(title: str, load: str, loads: Sequence[int], points: Sequence[Point]) -> Table:
    rows = [
        [f"{each:,}", f"{_per_step(point):.2f}", f"{_per_token(point):.3f}", f"{point[0] / point[1].median:,.0f}"]
        for each, point in zip(loads, points, strict=True)
    ]
    return Table([load, "ms per step", "ms per token", "Tokens/s"], rows, title)


def _lines(title: str, load: str, loads: Sequence[int], points: Sequence[Point]) -> Lines:
    lines = {
        "torchbridge, a step": [_per_step(point) for point in points],
        "torchbridge, a token": [_per_token(point) for point in points],
    }
    return Lines(title, load, "milliseconds: less is better", loads, lines)


if __name__ == "__main__":
    main()
