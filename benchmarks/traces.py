"""`make bench-traces`: what OpenTelemetry's traces cost the whole stack, one call in ten and each of them."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import psutil
import torch

from adapter.torchserve.archive_probe import served_alone
from benchmarks.closed_loop import closed_loop, read_events
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.own_gateway import gateway_over
from benchmarks.own_stack import generation, pack
from benchmarks.random_models import random_model
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import Figure, interleave_many
from benchmarks.server_process import ServerProcess
from benchmarks.workload import workload

OFF, TENTH, ALL = "off", "one in ten", "each call"
_SHARES = {TENTH: "0.1", ALL: "1"}
_STREAMS, _REQUESTS = 16, 32
_MOST = 0.02  # of the tokens/s, and of all CPU
_METHOD = f"""\
Mixed requests, greedily decoded, over one TorchServe with the 25M float32 model, through three gateways in turn:
without traces, with the sampler *parentbased_traceidratio* at 0.1, and at 1. They export to a receiver in the load
generator's process. {_STREAMS} streams at once; the responses' cache is off. Shares are taken in each round.

All cores are busy, so what a call costs in CPU is what it costs in tokens/s; and CPU varies less from round to round.
*All CPU* is that of the gateway, TorchServe and its worker."""


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _sink() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@dataclass(slots=True)
class _Turn:
    name: str
    gateway: ServerProcess
    num_requests: int
    _seeds: Iterator[int] = field(default_factory=count)

    def __call__(self) -> Mapping[str, float]:
        requests = workload(self.num_requests, next(self._seeds), reader=self.name)
        bodies = [generation(*request) for request in requests]
        before, all_before = self.gateway.usage().cpu_seconds, _cpu_seconds_of_all()
        loop = closed_loop(self.gateway.url, "/generate/stream", bodies, _STREAMS, read_events)
        cpu_seconds, all_seconds = self.gateway.usage().cpu_seconds - before, _cpu_seconds_of_all() - all_before
        return {
            "tokens/s": loop.tokens_per_second,
            "CPU ms": 1e3 * cpu_seconds / len(bodies),
            "all CPU ms": 1e3 * all_seconds / len(bodies),
        }


def _cpu_seconds_of_all() -> float:
    """Of the gateways, TorchServe and its worker: all that this process has started."""
    seconds = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def main() -> None:
    arguments = parse_arguments()
    exit_on_sigterm()
    archive = pack(random_model("25M", torch.float32), arguments.threads)
    with ExitStack() as stack:
        endpoint = stack.enter_context(_sink())
        server = stack.enter_context(served_alone(archive, lambda _: None))
        addresses = server.properties["inference_address"], server.properties["management_address"]
        environments: dict[str, dict[str, str]] = {OFF: {}} | {
            name: _environment(endpoint, share) for name, share in _SHARES.items()
        }
        turns = {
            name: _Turn(
                name,
                stack.enter_context(gateway_over(*addresses, server.keys.path, environment)),
                _STREAMS if arguments.is_quick else _REQUESTS,
            )
            for name, environment in environments.items()
        }
        figures = interleave_many(turns, arguments.rounds)
    _report(figures)


def _environment(endpoint: str, share: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": share,
    }


def _report(figures: Mapping[str, Mapping[str, Figure]]) -> None:
    speeds = {name: taken["tokens/s"].over(figures[OFF]["tokens/s"]) for name, taken in figures.items()}
    rows = [
        [
            name,
            f"{taken['tokens/s']:.0f}",
            f"{speeds[name]:.3f}",
            f"{taken['CPU ms']:.2f}",
            f"{taken['all CPU ms']:.0f}",
            f"{_added(figures, name):.2%}",
        ]
        for name, taken in figures.items()
    ]
    speed, added = speeds[TENTH], _added(figures, TENTH)
    goals = [
        Goal(
            "Traces of one call in ten: tokens/s", f"at least {1 - _MOST:g}", f"{speed:.3f}", speed.median >= 1 - _MOST
        ),
        Goal(
            "Traces of one call in ten: CPU added", f"at most {_MOST:.0%} of all", f"{added:.2%}", added.median <= _MOST
        ),
    ]
    header = ["Traces", "Tokens/s", "Of those without", "The gateway's CPU ms per call", "All CPU ms", "Added, of all"]
    write_report(
        "traces", title="What traces cost", method=_METHOD, tables=[goal_table(goals), Table(header, rows)], plots=[]
    )


def _added(figures: Mapping[str, Mapping[str, Figure]], name: str) -> Figure:
    """By the gateway's CPU, as a share of what a call costs all processes without traces."""
    off, on = figures[OFF], figures[name]
    taken = zip(on["CPU ms"].values, off["CPU ms"].values, off["all CPU ms"].values, strict=True)
    return Figure(tuple((with_traces - without) / everything for with_traces, without, everything in taken))


if __name__ == "__main__":
    main()
