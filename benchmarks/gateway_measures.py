"""One round of one server's figures: added latency, requests and events per second, and what they cost it."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks import fake_upstream, http_load
from benchmarks.gateway_subjects import PROMPT, Subject, direct_body
from benchmarks.http_load import Load
from benchmarks.project import PROJECT
from benchmarks.server_process import ServerProcess

CONCURRENCY = 16
EVENTS = 256  # with a text, in one stream
SEQUENTIAL, CONCURRENT = 150, 192  # requests in a round
_WARM_UP = 20
_SETTLE_SECONDS = 3  # the gateway watches over an answer that has been silent for a second


class _Run(NamedTuple):
    seconds: float
    each: list[float]  # how long each request took, in seconds


def measure_direct(upstream: ServerProcess) -> dict[str, float]:
    """What the upstream and the load generator manage with nothing in between."""
    url = f"{upstream.url}/predictions/{fake_upstream.MODEL}/{fake_upstream.VERSION}"
    unary = _run(Load(url, direct_body(PROMPT, 1), CONCURRENT * 10, CONCURRENCY))
    streams = _run(Load(url, direct_body(PROMPT, EVENTS), CONCURRENCY * 4, CONCURRENCY, EVENTS))
    return {"requests/s": len(unary.each) / unary.seconds, "events/s": len(streams.each) * EVENTS / streams.seconds}


def measure(subject: Subject, server: ServerProcess, upstream: ServerProcess) -> dict[str, float]:
    figures: dict[str, float] = {}
    if subject.path is not None:
        url, body = server.url + subject.path, subject.body(PROMPT, 1)
        direct = Load(f"{upstream.url}{subject.direct_path}", direct_body(PROMPT, 1), SEQUENTIAL)
        figures |= _added_latency(direct, Load(url, body, SEQUENTIAL))
        run, cpu_seconds = _run_and_cpu(server, Load(url, body, CONCURRENT, CONCURRENCY))
        figures["requests/s"] = CONCURRENT / run.seconds
        figures["CPU s per 1,000 requests"] = cpu_seconds / CONCURRENT * 1_000
    streams = Load(
        server.url + subject.stream_path, subject.stream_body(PROMPT, EVENTS), subject.num_streams, CONCURRENCY, EVENTS
    )
    run, cpu_seconds = _run_and_cpu(server, streams)
    num_events = subject.num_streams * EVENTS
    figures["events/s"] = num_events / run.seconds
    figures["CPU s per 1,000 events"] = cpu_seconds / num_events * 1_000
    figures["RSS MB"] = server.usage().resident_bytes / 1e6
    return figures


def kilobytes_per_open_stream(subject: Subject, upstream: ServerProcess) -> float:
    """What each further open stream adds to a server that has just been started and has had a few."""
    with subject.start(upstream.url) as server:

        def streams(number: int) -> Load:
            body = subject.stream_body(fake_upstream.HOLD, 1)
            return Load(server.url + subject.stream_path, body, number, is_held=True)

        with _held(streams(_WARM_UP)):
            pass
        with _held(streams(1)):
            time.sleep(_SETTLE_SECONDS)
            with_one = server.usage().resident_bytes
            with _held(streams(subject.num_held - 1)):
                time.sleep(_SETTLE_SECONDS)
                return (server.usage().resident_bytes - with_one) / (subject.num_held - 1) / 1e3


def _added_latency(direct: Load, through: Load) -> dict[str, float]:
    """In milliseconds; the direct requests come just before the others, in each round."""
    without, with_it = _run(direct).each, _run(through).each
    return {
        "added p50": (statistics.median(with_it) - statistics.median(without)) * 1e3,
        "added p99": (_p99(with_it) - _p99(without)) * 1e3,
    }


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


def _run_and_cpu(server: ServerProcess, load: Load) -> tuple[_Run, float]:
    before = server.usage().cpu_seconds
    run = _run(load)
    return run, server.usage().cpu_seconds - before


def _command(load: Load) -> list[str]:
    return [sys.executable, "-m", http_load.__name__, load.to_json()]


def _run(load: Load) -> _Run:
    answer = subprocess.run(_command(load), cwd=PROJECT, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own
    return _Run(**json.loads(answer.stdout))


@contextmanager
def _held(load: Load) -> Iterator[None]:
    """Inside, all of the load's streams are open and have had their first text."""
    with subprocess.Popen(  # noqa: S603 - our own command
        _command(load), cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdout.readline() != "open\n":
            raise RuntimeError(f"{load.requests} streams of {load.url} could not be held")
        yield  # the end of the block ends its standard input, and so it
