"""`make bench-peers_throughput`: tokens per second of our whole stack beside other ways to serve the same model."""

import statistics

import torch

from benchmarks.awake_servers import OURS, Server, servers
from benchmarks.closed_loop import poisson
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import Figure, console
from benchmarks.server_turns import (
    GOAL_STREAMS,
    METHOD,
    SECONDS_TO_START,
    Figures,
    Model,
    bars,
    goals,
    measure,
    table,
)

MODEL = Model("25M", torch.float32, {1: 1, 16: 64}, 120, output_tokens=(16, 256), prompt_tokens=(8, 512))
MOST_OF_MEDIAN = 3.0  # p99 of the time to first token, of its p50
_POISSON_ROUNDS, _POISSON_SECONDS, _POISSON_LOAD = 3, 30, 0.7

_METHOD = f"""\
{METHOD} Answers have {MODEL.output_tokens[0]} to {MODEL.output_tokens[1]} tokens after prompts of
{MODEL.prompt_tokens[0]} to {MODEL.prompt_tokens[1]}. Time to first token: Poisson arrivals at {_POISSON_LOAD:.0%} of
the tokens/s that ours has just had at {GOAL_STREAMS} streams, counted from when a request was to be sent, in
{_POISSON_ROUNDS} rounds of {_POISSON_SECONDS} s. peers_scaling shows other models and numbers of streams."""


def first_tokens(own: Server, capacity: float, rounds: int) -> dict[str, Figure]:
    """p50 and p99 of the seconds to the first token while requests arrive by chance."""
    rate = _POISSON_LOAD * capacity / MODEL.mean_output_tokens()
    quantiles = []
    for seed in range(1, rounds + 1):
        bodies = MODEL.bodies(own.body, max(2, round(rate * _POISSON_SECONDS)), -seed)
        with own.awake():
            loop = poisson(own.url, own.path, bodies, rate=rate, seed=seed)
        quantiles.append(statistics.quantiles(loop.first_tokens, n=100, method="inclusive"))
        console.print(f"{rate:.2f} requests/s: p50 {quantiles[-1][49]:.3f} s, p99 {quantiles[-1][98]:.3f} s")
    return {name: Figure(tuple(each[index] for each in quantiles)) for name, index in (("p50", 49), ("p99", 98))}


def main() -> None:
    arguments = parse_arguments()
    exit_on_sigterm()
    poisson_rounds = 1 if arguments.is_quick else _POISSON_ROUNDS
    seconds = SECONDS_TO_START + (arguments.rounds + 0.5) * MODEL.seconds_per_round + poisson_rounds * _POISSON_SECONDS
    console.print(f"about {seconds / 60:.0f} minutes on a quiet machine")
    with servers(MODEL.directory(), MODEL.archive_name, arguments.threads) as started:
        figures = measure(MODEL, started, arguments.rounds)
        waits = first_tokens(started[0], figures[OURS, GOAL_STREAMS].median, poisson_rounds)
    _report(figures, waits, arguments.threads)


def _report(figures: Figures, waits: dict[str, Figure], threads: int) -> None:
    tail = waits["p99"].over(waits["p50"])
    is_short = tail.median <= MOST_OF_MEDIAN
    tail_goal = Goal("p99 of the time to first token", f"≤ {MOST_OF_MEDIAN:g} of its p50", f"{tail:.2f}", is_short)
    wait_rows = [[name, f"{figure:.3f}"] for name, figure in waits.items()]
    wait_table = Table(["", "Seconds"], [*wait_rows, ["p99 over p50", f"{tail:.2f}"]], f"Time to first token, {OURS}")
    write_report(
        "peers_throughput",
        title="Our whole stack beside other servers",
        method=_METHOD.format(threads=threads),
        tables=[goal_table([*goals(MODEL, figures), tail_goal]), table(MODEL, figures), wait_table],
        plots=[bars(MODEL, figures)],
    )


if __name__ == "__main__":
    main()
