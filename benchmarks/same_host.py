"""`make bench-same_host`: chats behind a balancer that gives each user's to one host, and behind others."""

import asyncio
import itertools
import statistics
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.balancer import Choice, balancer
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.conversations import (
    ANSWER_TOKENS,
    FIRST_WORDS,
    NEW_WORDS,
    SECONDS_BETWEEN_TURNS,
    TURNS,
    converse,
)
from benchmarks.own_stack import own_stack, pack
from benchmarks.random_models import random_model
from benchmarks.report import Table, write_report
from benchmarks.rounds import Figure, console, interleave_many

NUM_HOSTS, NUM_CHATS = 2, 8
_THREADS = 1  # of each host: two of them have two cores
_LONGEST_COUNT, _SECONDS_BETWEEN_LOOKS = 60, 0.2  # seconds
_SECONDS_PER_TURN = 20  # for the estimate alone

_METHOD = f"""\
{NUM_HOSTS} hosts, each a `torchbridge serve` with a TorchServe of its own, the 25M float32 model and one thread, behind
HAProxy with the configuration of deploy/. {NUM_CHATS} users chat at once, and think {SECONDS_BETWEEN_TURNS:g} seconds
on average before each of {TURNS} turns. Prompts begin with {FIRST_WORDS} tokens, and grow by an answer of
{ANSWER_TOKENS} tokens and {NEW_WORDS} new ones. No two chats begin alike, and each round has new ones. A host keeps
the beginnings of the last 8 requests that ended (`prefix_slots`), and of those that run. *Found*: the share of the
prompts' tokens, first turns included, that the engine had from before (`torchbridge_engine_tokens_total`). *First
token*: from sending to the first text, the median of all turns but the first. The balancers stand before the same
hosts, and take turns."""


class Counts(NamedTuple):
    """Of prompts, in tokens: found in the cache, and computed."""

    found: float
    computed: float


def counts_of(hosts: Sequence[str]) -> Counts:
    """Of all of them together, since they have started."""
    values: dict[str, float] = defaultdict(float)
    for host in hosts:
        with urllib.request.urlopen(f"{host}/metrics") as response:  # noqa: S310 - our own host
            for family in text_string_to_metric_families(response.read().decode()):
                for sample in family.samples:
                    if sample.name == "torchbridge_engine_tokens_total":
                        values[sample.labels["source"]] += sample.value
    return Counts(values["prefix"], values["prompt"])


@dataclass
class Chats:
    """All at once through one balancer, each time with users whom no host has seen."""

    url: str
    hosts: Sequence[str]
    name: str
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self) -> Mapping[str, float]:
        number, before = next(self.numbers), counts_of(self.hosts)
        turns = asyncio.run(converse(self.url, [f"{self.name} {number} {user}" for user in range(NUM_CHATS)]))
        asked = sum(turn.prompt_tokens - 1 for turn in turns)  # the last one has to be computed, and is not counted
        return {
            "found": self._found(before, asked) / asked,
            "first token": statistics.median(turn.first_token for turn in turns if turn.number > 0),
        }

    def _found(self, before: Counts, asked: int) -> float:
        """Workers say each second what they have done: until all that was asked for is in it."""
        deadline = time.monotonic() + _LONGEST_COUNT
        while sum(after := counts_of(self.hosts)) < sum(before) + asked:
            if time.monotonic() > deadline:
                raise RuntimeError(f"of {asked} tokens the hosts have counted {sum(after) - sum(before):.0f}")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return after.found - before.found


@contextmanager
def _balanced(directory: Path) -> Iterator[tuple[list[str], dict[Choice, str]]]:
    """The addresses of the hosts, and of the balancers before them."""
    archive = pack(random_model("25M", torch.float32), _THREADS, name="same-host")
    with ExitStack() as until_the_end:
        hosts = [until_the_end.enter_context(own_stack(archive)).url for _ in range(NUM_HOSTS)]
        yield hosts, {each: until_the_end.enter_context(balancer(directory, hosts, each)).url for each in Choice}


Taken = Mapping[str, Figure]


def _table(taken: Mapping[str, Taken]) -> Table:
    rows = []
    for choice, figures in taken.items():
        first = figures["first token"]
        ratio = first.over(taken[Choice.FEWEST]["first token"])
        rows.append([choice, f"{figures['found']:.0%}", f"{first.in_milliseconds:.0f}", f"{ratio:.2f}"])
    return Table(["The host is chosen", "Found", "First token, ms", "Over the fewest's"], rows)


def main() -> None:
    exit_on_sigterm()
    arguments = parse_arguments()
    minutes = _SECONDS_PER_TURN * len(Choice) * (arguments.rounds + 1) / 60
    console.print(f"about {minutes + 1:.0f} minutes")
    with tempfile.TemporaryDirectory() as directory, _balanced(Path(directory)) as (hosts, balancers):
        measures = {f"{each}": Chats(url, hosts, f"{each}") for each, url in balancers.items()}
        table = _table(interleave_many(measures, arguments.rounds))
    write_report("same_host", title="The same host for the same chat", method=_METHOD, tables=[table])


if __name__ == "__main__":
    main()
