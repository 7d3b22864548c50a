"""`make bench-peers_throughput`: tokens per second of our whole stack beside other ways to serve the same model."""

import statistics
from collections.abc import Sequence

import torch

from benchmarks.awake_servers import STREAMED, Server, servers
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
    tables,
)

MODEL = Model("25M", torch.float32, {1: 1, 16: 64}, 145, output_tokens=(16, 256), prompt_tokens=(8, 512))
MOST_OF_MEDIAN = 3.0  # p99 of the time to first token, of its p50
_POISSON_ROUNDS, _POISSON_SECONDS, _POISSON_LOAD = 3, 60, 0.7
_ROUNDS = 3  # of two and a half minutes

_METHOD = f"""\
{METHOD} Answers have {MODEL.output_tokens[0]} to {MODEL.output_tokens[1]} tokens after prompts of
{MODEL.prompt_tokens[0]} to {MODEL.prompt_tokens[1]}. Time to first token: Poisson arrivals at {_POISSON_LOAD:.0%} of
the tokens/s that ours has just had with streams, {GOAL_STREAMS} of them, counted from when a request was to be sent, in
{_POISSON_ROUNDS} rounds of {_POISSON_SECONDS} s; the requests of all rounds together give p50 and p99, as those of one
round are so few that one of them is its p99. peers_scaling shows other models and numbers of streams."""


def first_tokens(streamed: Server, capacity: float, rounds: int) -> list[tuple[float, ...]]:
    """Seconds to the first token of every request of each round, while they arrive by chance."""
    rate = _POISSON_LOAD * capacity / MODEL.mean_output_tokens()
    taken = []
    for seed in range(1, rounds + 1):
        bodies = MODEL.bodies(streamed.body, max(2, round(rate * _POISSON_SECONDS)), -seed)
        with streamed.awake():
            loop = poisson(streamed.url, streamed.path, bodies, rate=rate, seed=seed)
        taken.append(loop.first_tokens)
        console.print(f"{rate:.2f} requests/s: p50 {_p50(taken[-1]):.3f} s, p99 {_p99(taken[-1]):.3f} s")
    return taken


def main() -> None:
    arguments = parse_arguments()
    exit_on_sigterm()
    poisson_rounds, rounds = (1, 1) if arguments.is_quick else (_POISSON_ROUNDS, min(arguments.rounds, _ROUNDS))
    seconds = SECONDS_TO_START + (rounds + 0.5) * MODEL.seconds_per_round + poisson_rounds * _POISSON_SECONDS
    console.print(f"about {seconds / 60:.0f} minutes on a quiet machine")
    with servers(MODEL.directory(), arguments.threads) as started:
        figures = measure(MODEL, started, rounds)
        [streamed] = [server for server in started if server.name == STREAMED]
        waits = first_tokens(streamed, figures[STREAMED, GOAL_STREAMS].median, poisson_rounds)
    _report(figures, waits, arguments.threads)


def _report(figures: Figures, waits: list[tuple[float, ...]], threads: int) -> None:
    all_waits = [wait for of_round in waits for wait in of_round]
    tail = _tail(all_waits)
    wanted = f"at most {MOST_OF_MEDIAN:g}"
    tail_goal = Goal("p99 of the time to first token over its p50", wanted, f"{tail:.2f}", tail <= MOST_OF_MEDIAN)
    write_report(
        "peers_throughput",
        title="Our whole stack beside other servers",
        method=_METHOD.format(threads=threads),
        tables=[
            goal_table([*goals(MODEL, figures), tail_goal]),
            *tables(MODEL, figures),
            _wait_table(waits, all_waits),
        ],
        plots=[bars(MODEL, figures)],
    )


def _wait_table(waits: list[tuple[float, ...]], all_waits: list[float]) -> Table:
    rows = [
        [name, f"{quantile(all_waits):.3f}", f"{Figure(tuple(map(quantile, waits))):.3f}"]
        for name, quantile in (("p50", _p50), ("p99", _p99), ("p99 over p50", _tail))
    ]
    header = ["", f"Of all {len(all_waits)} requests", "Round by round"]
    return Table(header, rows, f"Time to first token in seconds, {STREAMED}")


def _p50(values: Sequence[float]) -> float:
    return statistics.median(values)


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


def _tail(values: Sequence[float]) -> float:
    return _p99(values) / _p50(values)


if __name__ == "__main__":
    main()
