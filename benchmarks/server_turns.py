"""Servers that take turns at the same requests: the models, the turns, and the tables and goals they give."""

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.awake_servers import COMPILED, OURS, Server
from benchmarks.closed_loop import closed_loop
from benchmarks.peers.servers import PEERS
from benchmarks.plots import Bars
from benchmarks.random_models import random_model
from benchmarks.report import Goal, Table, at_least
from benchmarks.rounds import Figure, interleave_many
from benchmarks.workload import workload

FASTAPI, TORCHSERVE, LITSERVE, TRANSFORMERS, _ = (peer.name for peer in PEERS)
GOAL_STREAMS = 16
SECONDS_TO_START = 210  # all servers of a model, and to compile its steps
_WANTED = {FASTAPI: 8.0, TORCHSERVE: 3.0, TRANSFORMERS: 1.5, LITSERVE: 2.0}  # times their tokens/s at GOAL_STREAMS
# Where each one's queue only grows: it is not asked for more at once, and what it gives then stands for more, too.
_MOST_AT_ONCE = {FASTAPI: 4}

METHOD = f"""\
Llama models with random weights that never end by themselves. Every server runs on the same {{threads}} threads, with
the same requests in the same round and others in the next: prompts and answers have lengths that are spread evenly over
their logarithms, greedily decoded. A closed loop in the benchmark's own process keeps as many requests in flight as
there are streams. Ours is all of `torchbridge serve`: gateway, TorchServe, handler, 64 slots, no response cache; it
is asked for whole answers, as the others are, and in a turn of its own for streams of events. It is there twice: as it
is installed, and *compiled*, which is the same archive after `torchbridge compile`. All servers are up at once, and
stopped (SIGSTOP) but in their turns. One that runs fewer requests at once is asked for no more than keep it busy,
since its queue alone would grow
({", ".join(f"{name}: {most}" for name, most in _MOST_AT_ONCE.items())})."""


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
    def mix(self) -> str:
        return "{} to {} tokens each".format(*self.output_tokens)

    def directory(self) -> Path:
        return random_model(self.size, self.dtype)

    def bodies(self, body: Callable[[str, int], dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
        mixed = workload(count, seed, output_tokens=self.output_tokens, prompt_tokens=self.prompt_tokens)
        return [body(*request) for request in mixed]

    def mean_output_tokens(self) -> float:
        requests = workload(256, 0, output_tokens=self.output_tokens, prompt_tokens=self.prompt_tokens)
        return statistics.mean(request.max_length for request in requests)


@dataclass(slots=True)
class Turn:
    """One server at one number of streams. Its first turn, which counts for nothing, is a short one."""

    model: Model
    server: Server
    streams: int
    _seeds: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self) -> dict[str, float]:
        seed = next(self._seeds)
        in_flight = min(self.streams, _MOST_AT_ONCE.get(self.server.name, self.streams))
        count = self.model.requests[self.streams] if in_flight == self.streams else in_flight
        bodies = self.model.bodies(self.server.body, count if seed else 1, seed)
        with self.server.awake():
            loop = closed_loop(self.server.url, self.server.path, bodies, in_flight, self.server.read)
        return {"tokens/s": loop.tokens_per_second}


Figures = Mapping[tuple[str, int], Figure]
"""Tokens per second, by the server's name and the number of streams."""


def measure(model: Model, started: list[Server], rounds: int) -> Figures:
    turns = {(server.name, streams): Turn(model, server, streams) for server in started for streams in model.requests}
    taken = interleave_many({f"{name}, {streams} streams": turn for (name, streams), turn in turns.items()}, rounds)
    return dict(zip(turns, (quantities["tokens/s"] for quantities in taken.values()), strict=True))


def goals(model: Model, figures: Figures) -> list[Goal]:
    return [_goal(model, peer, least, figures) for peer, least in _WANTED.items()]


def _goal(model: Model, peer: str, least: float, figures: Figures) -> Goal:
    theirs = figures[peer, GOAL_STREAMS]
    plain, compiled = (figures[ours, GOAL_STREAMS].over(theirs) for ours in (OURS, COMPILED))
    name = f"{model.name}, {GOAL_STREAMS} streams, {model.mix}: tokens/s over those of {peer}"
    return at_least(name, least, plain, compiled)


def tables(model: Model, figures: Figures) -> list[Table]:
    """The tokens per second of all, and how many times each of the others' ours has."""
    streams = sorted(model.requests)
    names = _names(figures)
    speeds = [[name, *(f"{figures[name, each]:.1f}" for each in streams)] for name in names]
    pairs = [(ours, each) for ours in (OURS, COMPILED) for each in streams]
    ratios = [
        [
            name,
            *(f"{figures[ours, each].over(figures[name, each]):.2f}" if name != ours else "" for ours, each in pairs),
        ]
        for name in names
    ]
    return [
        Table(["", *(f"{each} streams" for each in streams)], speeds, f"Tokens per second, {model.name}"),
        Table(
            ["Over", *(f"{ours}, {each}" for ours, each in pairs)], ratios, f"Times its tokens per second, {model.name}"
        ),
    ]


def bars(model: Model, figures: Figures) -> Bars:
    return Bars(
        f"Mixed requests, {model.name}, {GOAL_STREAMS} streams",
        "tokens per second: more is better",
        {name: figures[name, GOAL_STREAMS] for name in _names(figures)},
    )


def _names(figures: Figures) -> list[str]:
    return list(dict.fromkeys(name for name, _ in figures))
