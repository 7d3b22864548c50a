"""`make bench-hop`: what TorchServe and the gateway take from the engine's speed, and what each of them adds."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count, product
from pathlib import Path

import psutil
import torch

from adapter.torchserve.archive_probe import served_alone
from adapter.torchserve.inference_client import prediction_url
from adapter.torchserve.server_process import TorchServeProcess
from benchmarks.closed_loop import Loop, Read, closed_loop, read_answer, read_events
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.own_gateway import gateway_over
from benchmarks.own_stack import generation, pack
from benchmarks.plots import Lines
from benchmarks.random_models import random_model
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import Figure, console, interleave_many
from benchmarks.workload import OUTPUT_TOKENS, PROMPT_TOKENS, Request, workload
from handlers.engine import Engine
from handlers.model_loading import load_model
from handlers.packed_linear import pack_linear_layers
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings
from handlers.tokenization import encode_prompt

ENGINE, TORCHSERVE = "engine alone", "TorchServe"
STREAMED, WHOLE = "torchbridge, streamed", "torchbridge, whole answers"
WAYS = ENGINE, TORCHSERVE, STREAMED, WHOLE
LEAST = {1: 0.90, 16: 0.95, 64: 0.95}  # of the engine's tokens/s, by the number of streams
_REQUESTS = {1: 4, 16: 32, 64: 96}
_SECONDS_PER_ROUND = 80  # on two cores of an EPYC, for the estimate alone
_HEADER = (
    *("", "Streams", "Tokens/s", "Of the engine's", "Added ms per token", "First token p50, ms"),
    *("CPU s per 1,000 tokens: worker", "java", "gateway"),
)
_METHOD = """\
The same mixed requests, greedily decoded on {threads} threads, by four ways: to the engine in the benchmark's own
process, loaded as the worker does it, with all of them queued and a slot for each stream; to TorchServe's inference
API; and to the gateway's /generate/stream and /generate over the same TorchServe, 64 slots, its response cache off.
Through the first two of these three ways text comes while it grows, at most every 20 ms after the first. Streams are
connections that always have a request. *Added* is the time per token of all streams together beyond the engine's in the
same round. The time to first token counts from when a request is sent (the engine's: from when it has a free slot). The
load generator takes its share of the same cores."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model with the caps of its workload."""

    name: str
    directory: Path
    output_tokens: tuple[int, int] = OUTPUT_TOKENS
    prompt_tokens: tuple[int, int] = PROMPT_TOKENS

    def requests(self, streams: int, seed: int) -> list[Request]:
        number = _REQUESTS[streams] if seed else streams
        return workload(number, seed, output_tokens=self.output_tokens, prompt_tokens=self.prompt_tokens)


class EngineAlone:
    def __init__(self, subject: Subject, threads: int) -> None:
        self._settings = HandlerSettings(threads=threads)
        # As the worker does: no other thread of this process computes, so OpenMP's threads spin while they wait.
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(self._load, subject, threads).result()

    def _load(self, subject: Subject, threads: int) -> None:
        self._loaded = load_model(subject.directory, self._settings)
        pack_linear_layers(self._loaded.model)
        torch.set_num_threads(threads)
        # Kept, as the worker's is: a new one's cache would be given its memory while it is measured.
        self._engines = {streams: self._engine(streams) for streams in _REQUESTS}

    def _engine(self, streams: int) -> Engine:
        return Engine(
            self._loaded.model,
            self._loaded.stop_token_ids,
            slots=streams,
            context_length=self._loaded.context_length,
            prefill_tokens=self._settings.prefill_tokens,
            prefix_slots=self._settings.prefix_slots,
        )

    def run(self, requests: list[Request], streams: int) -> Loop:
        return self._thread.submit(self._run, requests, streams).result()

    def _run(self, requests: list[Request], streams: int) -> Loop:
        engine = self._engines[streams]
        began_at = time.perf_counter()
        for number, request in enumerate(requests):
            prompt = encode_prompt(self._loaded.tokenizer, request.prompt)
            engine.submit(str(number), prompt, request.max_length, SamplingParameters())
        # The first ones have a free slot at once, each further one when another ends.
        free_at, waiting = dict.fromkeys(map(str, range(streams)), began_at), count(streams)
        firsts: dict[str, float] = {}
        tokens = 0
        while engine.has_work:
            if (step := engine.step()) is None:
                continue
            now = time.perf_counter()
            tokens += len(step.ids)
            for each in step.ids:
                firsts.setdefault(each, now)
            free_at.update((str(next(waiting)), now) for _ in step.ended)
        seconds = time.perf_counter() - began_at
        return Loop(tokens, seconds, tuple(first - free_at[each] for each, first in firsts.items()))


Load = Callable[[list[Request], int], Loop]  # of requests, and the streams that they share


@dataclass(slots=True)
class Turn:
    """One way at one number of streams. Its first turn, which counts for nothing, is a shorter one."""

    subject: Subject
    streams: int
    load: Load
    cpu_seconds: Callable[[], Mapping[str, float]]
    _seeds: Iterator[int] = field(default_factory=count)

    def __call__(self) -> dict[str, float]:
        before = self.cpu_seconds()
        loop = self.load(self.subject.requests(self.streams, next(self._seeds)), self.streams)
        spent = {name: 1e3 * (now - before[name]) / loop.tokens for name, now in self.cpu_seconds().items()}
        return {
            "tokens/s": loop.tokens_per_second,
            "ms per token": 1e3 / loop.tokens_per_second,
            **({"first token": 1e3 * statistics.median(loop.first_tokens)} if loop.first_tokens else {}),
            **spent,
        }


Figures = dict[tuple[str, int], dict[str, Figure]]  # by way and streams


def measure(subject: Subject, threads: int, rounds: int) -> Figures:
    alone = EngineAlone(subject, threads)
    with served_alone(pack(subject.directory, subject.name, threads), lambda _: None) as server:
        java, worker = _torchserve_processes()
        addresses = server.properties["inference_address"], server.properties["management_address"]
        with gateway_over(*addresses, server.keys.path) as gateway:

            def cpu_seconds() -> dict[str, float]:
                return {"worker": _seconds(worker), "java": _seconds(java), "gateway": gateway.usage().cpu_seconds}

            def ask_gateway(path: str, read: Read, requests: list[Request], streams: int) -> Loop:
                bodies = [generation(*request) for request in requests]
                return closed_loop(gateway.url, path, bodies, streams, read)

            ways: dict[str, tuple[Load, Callable[[], Mapping[str, float]]]] = {
                ENGINE: (alone.run, lambda: {"worker": time.process_time()}),
                TORCHSERVE: (partial(_ask_torchserve, server, subject.name), cpu_seconds),
                STREAMED: (partial(ask_gateway, "/generate/stream", read_events), cpu_seconds),
                WHOLE: (partial(ask_gateway, "/generate", read_answer), cpu_seconds),
            }
            turns = {(way, streams): Turn(subject, streams, *ways[way]) for streams in _REQUESTS for way in ways}
            named = {f"{subject.name}, {way}, {streams} streams": turn for (way, streams), turn in turns.items()}
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
        cpu = [f"{taken[layer]:.2f}" if layer in taken else "" for layer in ("worker", "java", "gateway")]
        compared = ["", ""] if way == ENGINE else [f"{of_engine:.3f}", f"{added:.3f}"]
        rows.append([way, str(streams), f"{taken['tokens/s']:.1f}", *compared, first_token, *cpu])
    return rows


def _goals(figures: Figures) -> list[Goal]:
    goals = []
    for way, (streams, least) in product((STREAMED, WHOLE), LEAST.items()):
        seen = figures[way, streams]["tokens/s"].over(figures[ENGINE, streams]["tokens/s"])
        wanted = f"≥ {least:.0%} of the engine's tokens/s"
        goals.append(Goal(f"{way}, {streams} at once", wanted, f"{seen:.1%}", seen.median >= least))
    return goals


def main() -> None:
    arguments = parse_arguments()
    exit_on_sigterm()
    console.print(f"about {1 + (arguments.rounds + 0.5) * _SECONDS_PER_ROUND / 60:.0f} minutes on a quiet machine")
    subjects = {
        "25M float32": Subject("25M", random_model("25M", torch.float32)),
    }
    taken = {name: measure(subject, arguments.threads, arguments.rounds) for name, subject in subjects.items()}
    large = taken["25M float32"]
    lines = {
        way: [large[way, streams]["tokens/s"] for streams in LEAST] for way in (ENGINE, TORCHSERVE, STREAMED, WHOLE)
    }
    write_report(
        "hop",
        title="From the engine to the caller",
        method=_METHOD.format(threads=arguments.threads),
        tables=[goal_table(_goals(large)), *(Table(_HEADER, _rows(each), name) for name, each in taken.items())],
        plots=[Lines("25M float32", "streams", "tokens per second: more is better", list(LEAST), lines)],
    )


if __name__ == "__main__":
    main()
