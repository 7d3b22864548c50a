"""`make bench-hop`: what TorchServe and the gateway take from the engine's speed, and what each of them adds."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count, product

import psutil
import torch

from adapter.torchserve.archive_probe import served_alone
from adapter.torchserve.inference_client import prediction_url
from adapter.torchserve.server_process import TorchServeProcess
from benchmarks.closed_loop import Loop, Read, closed_loop, read_answer, read_events
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.engine_alone import EngineAlone
from benchmarks.own_gateway import gateway_over
from benchmarks.own_stack import compiled, generation, pack, where_workers_look
from benchmarks.plots import Lines
from benchmarks.random_models import random_model
from benchmarks.report import Goal, Table, at_least, goal_table, write_report
from benchmarks.rounds import Figure, console, interleave_many
from benchmarks.workload import Request, workload

ENGINE, TORCHSERVE = "engine alone", "TorchServe"
STREAMED, WHOLE = "torchbridge, streamed", "torchbridge, whole answers"
WAYS = ENGINE, TORCHSERVE, STREAMED, WHOLE
_LOAD = "load generator"
LEAST = {1: 0.95, 16: 0.88, 64: 0.88}  # of the engine's tokens/s, by the number of streams
_REQUESTS = {1: 4, 16: 32, 64: 96}
_SECONDS_PER_ROUND = 145  # without compiled steps and with them, on two cores of an EPYC, for the estimate alone
_HEADER = (
    *("", "Streams", "Tokens/s", "Of the engine's", "Added ms per token", "First token p50, ms"),
    *("CPU s per 1,000 tokens: worker", "java", "gateway", "load generator"),
)
_METHOD = """\
Mixed requests of the same lengths, greedily decoded on {threads} threads, by four ways: to the engine in the
benchmark's own process, loaded as the worker does it; to TorchServe's inference API; and to the gateway's
/generate/stream and /generate over the same TorchServe, 64 slots, its response cache off. Each way has prompts of its
own, because the worker that three of them share reuses beginnings of prompts that it has seen.
TorchServe and /generate/stream send text while it grows, after the first at most every 20 ms at 1 stream,
48 at 16 and 100 at 64. Streams are connections that always have a request. *Added* is the time per token of all
streams together beyond the engine's in the same round. The time to first token counts from when a request is sent. The
load generator takes its share of the same cores, where a user's is on another machine: the CPU time that it takes for
a token is measured and subtracted from the time per token, so all tokens/s but the engine's are those without it.
*Compiled* is the same archive after `torchbridge compile`: its engine takes less time for a token, and what the others
add to it stays."""


Load = Callable[[list[Request], int], Loop]  # of requests, and the streams that they share


@dataclass(slots=True)
class Turn:
    """One way at one number of streams, with `num_requests` a turn; the first, which is for nothing, is shorter."""

    way: str
    streams: int
    num_requests: int
    load: Load
    cpu_seconds: Callable[[], Mapping[str, float]]
    _seeds: Iterator[int] = field(default_factory=count)

    def __call__(self) -> dict[str, float]:
        seed = next(self._seeds)
        # Three ways lead to one worker, which keeps the beginnings of prompts.
        requests = workload(self.num_requests if seed else self.streams, seed, reader=self.way)
        before = self.cpu_seconds()
        loop = self.load(requests, self.streams)
        spent = {name: 1e3 * (now - before[name]) / loop.tokens for name, now in self.cpu_seconds().items()}
        per_token = 1e3 / loop.tokens_per_second - spent.get(_LOAD, 0)
        return {
            "tokens/s": 1e3 / per_token,
            "ms per token": per_token,
            **({"first token": 1e3 * statistics.median(loop.first_tokens)} if loop.first_tokens else {}),
            **spent,
        }


Figures = dict[tuple[str, int], dict[str, Figure]]  # by way and streams


def measure(threads: int, rounds: int, *, is_compiled: bool, is_quick: bool) -> Figures:
    model = random_model("25M", torch.float32)
    archive = pack(model, threads)
    os.environ.update(where_workers_look(is_compiled=is_compiled))
    with (
        closing(EngineAlone(model, threads, compiled(archive) if is_compiled else None)) as alone,
        served_alone(archive, lambda _: None) as server,
    ):
        java, worker = _torchserve_processes()
        addresses = server.properties["inference_address"], server.properties["management_address"]
        with gateway_over(*addresses, server.keys.path) as gateway:

            def cpu_seconds() -> dict[str, float]:
                taken = {"worker": _seconds(worker), "java": _seconds(java), "gateway": gateway.usage().cpu_seconds}
                return taken | {_LOAD: time.process_time()}

            def ask_gateway(path: str, read: Read, requests: list[Request], streams: int) -> Loop:
                bodies = [generation(*request) for request in requests]
                return closed_loop(gateway.url, path, bodies, streams, read)

            ways: dict[str, tuple[Load, Callable[[], Mapping[str, float]]]] = {
                ENGINE: (alone.run, lambda: {"worker": time.process_time()}),
                TORCHSERVE: (partial(_ask_torchserve, server, model.name), cpu_seconds),
                STREAMED: (partial(ask_gateway, "/generate/stream", read_events), cpu_seconds),
                WHOLE: (partial(ask_gateway, "/generate", read_answer), cpu_seconds),
            }
            counts = {streams: streams if is_quick else number for streams, number in _REQUESTS.items()}
            turns = {(way, each): Turn(way, each, counts[each], *ways[way]) for each in counts for way in ways}
            named = {f"{way}, {streams} streams": turn for (way, streams), turn in turns.items()}
            return dict(zip(turns, interleave_many(named, rounds).values(), strict=True))


def _ask_torchserve(server: TorchServeProcess, model: str, requests: list[Request], streams: int) -> Loop:
    url = server.properties["inference_address"]
    headers = {"authorization": f"Bearer {server.keys.inference_key()}"}
    bodies = [{**generation(*request), "id": "0" * 32} for request in requests]
    return closed_loop(url, prediction_url(url, model, "1.0").path, bodies, streams, read_events, headers=headers)


def _torchserve_processes() -> tuple[psutil.Process, psutil.Process]:
    """Java and the one worker, both started by this process."""
    started = psutil.Process().children(recursive=True)
    [java] = [process for process in started if process.name() == "java"]
    [worker] = [process for process in started if any("model_service_worker" in part for part in process.cmdline())]
    return java, worker


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _rows(figures: Figures) -> list[list[str]]:
    rows = []
    for (way, streams), taken in figures.items():
        engine = figures[ENGINE, streams]
        of_engine = taken["tokens/s"].over(engine["tokens/s"])
        pairs = zip(taken["ms per token"].values, engine["ms per token"].values, strict=True)
        added = Figure(tuple(own - least for own, least in pairs))
        first_token = f"{taken['first token']:.1f}" if "first token" in taken else ""
        cpu = [f"{taken[layer]:.2f}" if layer in taken else "" for layer in ("worker", "java", "gateway", _LOAD)]
        compared = ["", ""] if way == ENGINE else [f"{of_engine:.3f}", f"{added:.3f}"]
        rows.append([way, str(streams), f"{taken['tokens/s']:.1f}", *compared, first_token, *cpu])
    return rows


def _goals(plain: Figures, compiled: Figures) -> list[Goal]:
    goals = []
    for way, (streams, least) in product((STREAMED, WHOLE), LEAST.items()):
        seen, of_compiled = (
            figures[way, streams]["tokens/s"].over(figures[ENGINE, streams]["tokens/s"])
            for figures in (plain, compiled)
        )
        wanted = f"at least {least:.0%}"
        goals.append(
            at_least(
                f"{way}, {streams} at once: share of the engine's tokens/s",
                least,
                seen,
                of_compiled,
                wanted=wanted,
                shown=".1%",
            )
        )
    return goals


def main() -> None:
    arguments = parse_arguments()
    exit_on_sigterm()
    console.print(f"about {1 + (arguments.rounds + 0.5) * _SECONDS_PER_ROUND / 60:.0f} minutes on a quiet machine")
    taken = {
        engine: measure(arguments.threads, arguments.rounds, is_compiled=is_compiled, is_quick=arguments.is_quick)
        for engine, is_compiled in (("25M float32", False), ("25M float32 compiled", True))
    }
    write_report(
        "hop",
        title="From the engine to the caller",
        method=_METHOD.format(threads=arguments.threads),
        tables=[
            goal_table(_goals(*taken.values())),
            *(Table(_HEADER, _rows(figures), engine) for engine, figures in taken.items()),
        ],
        plots=[_lines(engine, figures) for engine, figures in taken.items()],
    )


def _lines(engine: str, figures: Figures) -> Lines:
    lines = {way: [figures[way, streams]["tokens/s"] for streams in LEAST] for way in WAYS}
    return Lines(engine, "streams", "tokens per second: more is better", list(LEAST), lines)


if __name__ == "__main__":
    main()
