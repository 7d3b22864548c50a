"""`make bench-peers_throughput`: tokens per second of our whole stack beside other ways to serve the same model."""

import argparse
import itertools
import signal
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.awake_servers import OURS, Server, servers
from benchmarks.closed_loop import closed_loop, poisson
from benchmarks.peers.servers import PEERS
from benchmarks.plots import Bars
from benchmarks.random_models import random_model
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import ROUNDS, Figure, console, interleave_many
from benchmarks.workload import workload

FASTAPI, TORCHSERVE, LITSERVE, TRANSFORMERS, _ = (peer.name for peer in PEERS)
WANTED = {FASTAPI: 8.0, TORCHSERVE: 3.0, TRANSFORMERS: 1.5, LITSERVE: 2.0}  # times their tokens/s, 16 streams
MOST_OF_MEDIAN = 3.0  # p99 of the time to first token, of its p50
GOAL_STREAMS = 16
# Where each one's queue only grows: it is not asked for more at once, and what it gives then stands for more, too.
MOST_AT_ONCE = {FASTAPI: 4}
_POISSON_ROUNDS, _POISSON_SECONDS, _POISSON_LOAD = 3, 30, 0.7
_SECONDS_TO_START = 90  # all servers of a model


@dataclass(frozen=True, slots=True)
class Model:
    """`requests` are those of a turn, by the number of streams; the rest is what `workload` takes."""

    size: str
    dtype: torch.dtype
    requests: dict[int, int]
    seconds_per_round: float  # on two cores of an EPYC, for the estimate alone
    output_tokens: tuple[int, int]
    prompt_tokens: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.size} {str(self.dtype).removeprefix('torch.')}"

    @property
    def archive_name(self) -> str:
        return self.name.replace(" ", "-")

    def directory(self) -> Path:
        return random_model(self.size, self.dtype)

    def bodies(self, body: Callable[[str, int], dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
        mixed = workload(count, seed, output_tokens=self.output_tokens, prompt_tokens=self.prompt_tokens)
        return [body(*request) for request in mixed]


SMALL = Model("25M", torch.float32, {1: 1, 16: 64}, 120, (16, 256), (8, 512))
LARGE = Model("135M", torch.bfloat16, {16: 20}, 45, (16, 64), (8, 128))


_METHOD = f"""\
Llama models with random weights that never end by themselves. Every server runs on the same {{threads}} threads, with
the same requests in the same round and others in the next: prompts and answers have lengths that are spread evenly over
their logarithms, greedily decoded. A closed loop in the benchmark's own process keeps as many requests in flight as
there are streams. Ours is all of `torchbridge serve`: gateway, TorchServe and handler, 64 slots, asked for streams, its
response cache off. All servers are up at once, and stopped (SIGSTOP) but in their turns. One that runs fewer requests
at once is asked for no more than keep it busy, since its queue alone would grow
({", ".join(f"{name}: {most}" for name, most in MOST_AT_ONCE.items())}). Time to first token: Poisson arrivals at
{_POISSON_LOAD:.0%} of the tokens/s that ours has just had at {GOAL_STREAMS} streams, counted from when a request was to
be sent, in {_POISSON_ROUNDS} rounds of {_POISSON_SECONDS} s. The larger model is asked for {LARGE.output_tokens[0]} to
{LARGE.output_tokens[1]} tokens after {LARGE.prompt_tokens[0]} to {LARGE.prompt_tokens[1]}, the smaller one for
{SMALL.output_tokens[0]} to {SMALL.output_tokens[1]} after {SMALL.prompt_tokens[0]} to {SMALL.prompt_tokens[1]}."""


@dataclass(slots=True)
class Turn:
    """One server at one number of streams. Its first turn, which counts for nothing, is a short one."""

    model: Model
    server: Server
    streams: int
    _seeds: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self) -> dict[str, float]:
        seed = next(self._seeds)
        in_flight = min(self.streams, MOST_AT_ONCE.get(self.server.name, self.streams))
        count = self.model.requests[self.streams] if in_flight == self.streams else in_flight
        bodies = self.model.bodies(self.server.body, count if seed else 1, seed)
        with self.server.awake():
            loop = closed_loop(self.server.url, self.server.path, bodies, in_flight, self.server.read)
        return {"tokens/s": loop.tokens_per_second}


Figures = dict[tuple[str, int], Figure]


def measure(model: Model, started: list[Server], rounds: int) -> Figures:
    turns = {(server.name, streams): Turn(model, server, streams) for server in started for streams in model.requests}
    taken = interleave_many({f"{name}, {streams} streams": turn for (name, streams), turn in turns.items()}, rounds)
    return dict(zip(turns, (quantities["tokens/s"] for quantities in taken.values()), strict=True))


def first_tokens(model: Model, own: Server, capacity: float, rounds: int) -> dict[str, Figure]:
    """p50 and p99 of the seconds to the first token while requests arrive by chance."""
    mean = statistics.mean(body["max_length"] for body in model.bodies(own.body, 256, 0))
    rate = _POISSON_LOAD * capacity / mean
    quantiles = []
    for seed in range(1, rounds + 1):
        bodies = model.bodies(own.body, max(2, round(rate * _POISSON_SECONDS)), -seed)
        with own.awake():
            loop = poisson(own.url, own.path, bodies, rate=rate, seed=seed)
        quantiles.append(statistics.quantiles(loop.first_tokens, n=100, method="inclusive"))
        console.print(f"{rate:.2f} requests/s: p50 {quantiles[-1][49]:.3f} s, p99 {quantiles[-1][98]:.3f} s")
    return {name: Figure(tuple(each[index] for each in quantiles)) for name, index in (("p50", 49), ("p99", 98))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--large", action="store_true", help=f"{LARGE.name}, too: ten minutes more")
    parser.add_argument("--quick", action="store_true", help="one round: whether it runs")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the servers are stopped on its way
    rounds, poisson_rounds = (1, 1) if arguments.quick else (arguments.rounds, _POISSON_ROUNDS)
    models = (SMALL, LARGE) if arguments.large else (SMALL,)
    seconds = sum(_SECONDS_TO_START + (rounds + 0.5) * model.seconds_per_round for model in models)
    console.print(f"about {(seconds + poisson_rounds * _POISSON_SECONDS) / 60:.0f} minutes on a quiet machine")
    with servers(SMALL.directory(), SMALL.archive_name, arguments.threads) as started:
        small = measure(SMALL, started, rounds)
        waits = first_tokens(SMALL, started[0], small[OURS, GOAL_STREAMS].median, poisson_rounds)
    _report({SMALL.name: small}, waits, arguments.threads)
    if arguments.large:
        with servers(LARGE.directory(), LARGE.archive_name, arguments.threads) as started:
            large = measure(LARGE, started, rounds)
        _report({SMALL.name: small, LARGE.name: large}, waits, arguments.threads)


def _report(figures: dict[str, Figures], waits: dict[str, Figure], threads: int) -> None:
    tail = waits["p99"].over(waits["p50"])
    goals = [
        *(_goal(model, name, figures[model]) for model in figures for name in WANTED),
        Goal("p99 of the time to first token", f"≤ {MOST_OF_MEDIAN:g} of its p50", f"{tail:.2f}", _is_short(tail)),
    ]
    wait_rows = [[name, f"{figure:.3f}"] for name, figure in waits.items()]
    wait_table = Table(["", "Seconds"], [*wait_rows, ["p99 over p50", f"{tail:.2f}"]], f"Time to first token, {OURS}")
    names = list(dict.fromkeys(name for name, _ in figures[SMALL.name]))
    unit = "tokens per second: more is better"
    write_report(
        "peers_throughput",
        title="Our whole stack beside other servers",
        method=_METHOD.format(threads=threads),
        tables=[goal_table(goals), *(_table(model, each, names) for model, each in figures.items()), wait_table],
        plots=[
            Bars(
                f"Mixed requests, {model}, {GOAL_STREAMS} streams",
                unit,
                {name: taken[name, GOAL_STREAMS] for name in names},
            )
            for model, taken in figures.items()
        ],
    )


def _is_short(tail: Figure) -> bool:
    return tail.median <= MOST_OF_MEDIAN


def _goal(model: str, name: str, figures: Figures) -> Goal:
    ratio = figures[OURS, GOAL_STREAMS].over(figures[name, GOAL_STREAMS])
    title = f"{model}, {GOAL_STREAMS} streams, over {name}"
    return Goal(title, f"≥ {WANTED[name]:g} times its tokens/s", f"{ratio:.2f}", ratio.median >= WANTED[name])


def _table(model: str, figures: Figures, names: list[str]) -> Table:
    streams = sorted({each for _, each in figures})
    header = ["", *(f"{each} streams" for each in streams), *(f"{OURS} over it, {each}" for each in streams)]
    rows = [
        [
            name,
            *(f"{figures[name, each]:.1f}" for each in streams),
            *(f"{figures[OURS, each].over(figures[name, each]):.2f}" if name != OURS else "" for each in streams),
        ]
        for name in names
    ]
    return Table(header, rows, f"Tokens per second, {model}")


if __name__ == "__main__":
    main()
