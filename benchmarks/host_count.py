"""`make bench-host_count`: how many hosts for which load, by a simulation that is compared with hosts that run."""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import aiohttp

from benchmarks.balancer import balancer
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.host_queues import Rate, Request, answer, arrivals, percentile
from benchmarks.project import PROJECT
from benchmarks.report import Table, write_report
from benchmarks.server_process import ServerProcess, answers

# torchbridge, 25M float32 (benchmarks/results/peers_scaling.md): tokens/s by streams, of two cores.
MEASURED = Rate(((1, 88.5), (4, 267.8), (16, 588.6), (64, 864.0)))
LENGTHS = (16, 20, 25, 32, 40, 51, 64)  # tokens: spread evenly over their logarithms, as there
WANTED_TOKENS, WANTED_SHARE = 20.0, 0.95  # tokens a second, wait included, that this share of the answers has
HOSTS, COMPARED = (1, 2, 4, 8, 16, 64, 256, 1_000), (1, 2, 3, 4)

_SLOTS, _TOKEN_SECONDS = 8, 0.1  # of a simulated host: slow, so that these cores are no part of it
_LEAST_SECONDS, _LEAST_REQUESTS = 10.0, 4_000  # of a simulation, whose first half does not count
_STEPS = 5  # each halves what is not known yet
_LOAD = 0.9  # of what it can do
_REQUESTS_PER_HOST = 100
_MEASURES: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.mean,
    "half within": statistics.median,
    "95 % within": lambda seconds: percentile(seconds, 0.95),
}

_METHOD = """\
How many requests a second so many hosts answer such that {share:.0%} of the answers come with at least {wanted:g}
tokens a second, the wait for a slot included. Requests come by chance (Poisson), answers have 16 to 64 tokens, and a
host is what `torchbridge` was with the 25M model in peers_scaling.md: {curve} tokens/s. The balancer gives a request to
the host that has the fewest.

The comparison is with hosts that run: {slots} slots each, {token_ms:g} ms for a token, as `torchbridge simulate` plays
them, behind HAProxy with the configuration of deploy/, at {load:.0%} of what they can do. Simulation and hosts get the
very same requests at the very same times; the simulation knows how long a token takes on one idle host, and nothing
else. Several real models on these cores would measure the cores: four hosts would have a quarter of them each."""


def main() -> None:
    exit_on_sigterm()
    arguments = parse_arguments()
    num_requests = _REQUESTS_PER_HOST // 5 if arguments.is_quick else _REQUESTS_PER_HOST
    hosts = HOSTS[:4] if arguments.is_quick else HOSTS
    compared = asyncio.run(_compare(num_requests))
    curve = ", ".join(f"{count} streams {rate:g}" for count, rate in MEASURED.measured)
    write_report(
        "host_count",
        title="How many hosts",
        method=_METHOD.format(
            share=WANTED_SHARE,
            wanted=WANTED_TOKENS,
            curve=curve,
            slots=_SLOTS,
            token_ms=1e3 * _TOKEN_SECONDS,
            load=_LOAD,
        ),
        tables=[_capacity_table(hosts), compared],
    )


def _capacity_table(hosts: Sequence[int]) -> Table:
    rows = []
    for num_hosts in hosts:
        rate = most_requests(num_hosts)
        tokens = rate * statistics.mean(LENGTHS)
        each = tokens / num_hosts
        rows.append([f"{num_hosts:,}", f"{rate:,.1f}", f"{tokens:,.0f}", f"{each:,.0f}", f"{each / MEASURED.most:.0%}"])
    return Table(["Hosts", "Requests/s", "Tokens/s", "Tokens/s of each", "Of the most"], rows, "What hosts can take")


def most_requests(num_hosts: int) -> float:
    """Requests a second that are still answered fast enough."""
    high = num_hosts * MEASURED.most / statistics.mean(LENGTHS)
    low = high / 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if is_fast_enough(num_hosts, middle):
            low = middle
        else:
            high = middle
    return low


def is_fast_enough(num_hosts: int, rate: float) -> bool:
    seconds = max(_LEAST_SECONDS, _LEAST_REQUESTS / rate)
    ended = answer(arrivals(rate, LENGTHS, seconds, seed=1), num_hosts, MEASURED)
    slowness = [each.total / each.tokens for each in ended[len(ended) // 2 :]]  # it began with idle hosts
    return percentile(slowness, WANTED_SHARE) <= 1 / WANTED_TOKENS


async def _compare(num_requests: int) -> Table:
    rows = []
    for num_hosts in COMPARED:
        with ExitStack() as until_the_end:
            directory = Path(until_the_end.enter_context(tempfile.TemporaryDirectory()))
            servers = [until_the_end.enter_context(_simulated(directory, index)) for index in range(num_hosts)]
            per_stream = await _tokens_per_second_alone(servers[0].url)
            rate = Rate(((1, per_stream), (_SLOTS, _SLOTS * per_stream)))
            load = _LOAD * num_hosts * rate.most / statistics.mean(LENGTHS)
            requests = arrivals(load, LENGTHS, num_hosts * num_requests / load, seed=num_hosts)
            before = until_the_end.enter_context(balancer(directory, [server.url for server in servers]))
            seen = await _send(before.url, requests)
            predicted = [each.total for each in answer(requests, num_hosts, rate)]
            load_and_count = [str(num_hosts), f"{load:.1f}", f"{len(seen):,}"]
            rows += [[*load_and_count, *row] for row in _compared(predicted, seen)]
    header = ["Hosts", "Requests/s", "Requests", "Seconds of an answer", "Predicted", "Seen", "Seen over predicted"]
    return Table(header, rows, "The simulation beside hosts that run")


def _compared(predicted: Sequence[float], seen: Sequence[float]) -> Iterator[list[str]]:
    for name, measure in _MEASURES.items():
        one, other = measure(predicted), measure(seen)
        yield [name, f"{one:.2f}", f"{other:.2f}", f"{other / one:.2f}"]


def _simulated(directory: Path, index: int) -> ServerProcess:
    script = directory / f"script-{index}.yaml"
    text = " ".join(random.Random(1).choices(["once", "upon", "a", "time"], k=max(LENGTHS)))  # noqa: S311
    script.write_text(f"slots: {_SLOTS}\nanswers:\n  - {{token_seconds: {_TOKEN_SECONDS}, text: {text}}}\n")
    program = str(Path(sys.executable).with_name("torchbridge"))
    command = [program, "simulate", str(script), "--port", "{port}"]
    return ServerProcess(f"host-{index}", command, is_ready=answers("/readyz"), directory=PROJECT)


async def _tokens_per_second_alone(url: str) -> float:
    requests = [Request(float(number), max(LENGTHS)) for number in range(5)]
    async with aiohttp.ClientSession() as session:
        seconds = [await _ask(session, url, request, time.perf_counter()) for request in requests]
    return max(LENGTHS) / statistics.median(seconds)


async def _send(url: str, requests: Sequence[Request]) -> list[float]:
    """Seconds of each, from when it was to be sent."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began_at = time.perf_counter()

        async def send(request: Request) -> float:
            at = began_at + request.arrives_at
            await asyncio.sleep(at - time.perf_counter())
            return await _ask(session, url, request, at)

        return await asyncio.gather(*map(send, requests))


async def _ask(session: aiohttp.ClientSession, url: str, request: Request, since: float) -> float:
    body = {"prompt": "Once", "max_length": request.tokens, "temperature": 1}
    async with session.post(f"{url}/generate", json=body) as response:
        response.raise_for_status()
        await response.read()
    return time.perf_counter() - since


if __name__ == "__main__":
    main()
