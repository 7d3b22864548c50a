"""`make bench-gateway`: the gateway alone over an upstream that costs nearly nothing, beside LiteLLM and LitServe."""

import resource
from contextlib import ExitStack
from functools import partial

from benchmarks.gateway_measures import CONCURRENCY, EVENTS, kilobytes_per_open_stream, measure, measure_direct
from benchmarks.gateway_subjects import CHAT, GENERATE, LITELLM, LITSERVE, LITSERVE_ZMQ, SUBJECTS, upstream
from benchmarks.peers.environments import pinned_version
from benchmarks.plots import Bars
from benchmarks.report import Goal, Table, at_least, goal_table, write_report
from benchmarks.rounds import Figure, console, interleave_many
from benchmarks.server_process import ServerProcess

_DIRECT = "upstream alone"
_STARTS = 3  # of a server whose memory is measured
_MOST_MILLISECONDS = 0.6  # of added p50: Bifrost says 0.5 of itself, agentgateway 0.25
_MOST_ADDED = 0.25  # of LiteLLM's p50
_LEAST_EVENTS = 2.0  # times LitServe's
_MOST_KILOBYTES = 40.0  # for an open stream
_SPECS = {"added p50": ".2f", "added p99": ".1f", "requests/s": ".0f", "events/s": ",.0f", "RSS MB": ".0f"}

_METHOD = f"""\
Every server is one process (LitServe has its worker and a manager beside it), on loopback, over a fake upstream that
answers from bytes encoded beforehand; the load generator is a process of its own. All share the cores. No caches, no
keys, no access log. Unary: one request at a time with one token for an answer, through the server and, just before,
directly to the upstream in the server's own dialect: *added* is the difference. Requests per second and CPU are at
{CONCURRENCY} at once. Streams: {CONCURRENCY} at once of {EVENTS} texts each, which the upstream writes as fast as it
can, each by itself; LitServe's `predict` yields as many. Only an answer with every text in an event of its own counts.
CPU and RSS are those of the server's processes together. An open stream's memory is what each further one adds to the
RSS of a server that was just started, once it has had its first text and has been silent for three seconds."""


def main() -> None:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # its children inherit it
    with upstream() as fake:
        figures = _rounds(fake)
        memory = _memory(fake)
    _report(figures, memory)


def _rounds(fake: ServerProcess) -> dict[str, dict[str, Figure]]:
    with ExitStack() as stack:
        measures = {_DIRECT: partial(measure_direct, fake)}
        servers: dict[object, ServerProcess] = {}
        for name, subject in SUBJECTS.items():
            if subject.start not in servers:
                servers[subject.start] = stack.enter_context(subject.start(fake.url))
            measures[name] = partial(measure, subject, servers[subject.start], fake)
        return interleave_many(measures)


def _memory(fake: ServerProcess) -> dict[str, Figure]:
    memory = {}
    for name, subject in SUBJECTS.items():
        if subject.num_held:
            memory[name] = Figure(tuple(kilobytes_per_open_stream(subject, fake) for _ in range(_STARTS)))
            console.print(f"{name}: {memory[name]:.1f} kB for each of {subject.num_held} open streams")
    return memory


def _report(figures: dict[str, dict[str, Figure]], memory: dict[str, Figure]) -> None:
    added = {name: figures[name]["added p50"] for name in (GENERATE, CHAT, LITELLM)}
    events = {name: figures[name]["events/s"] for name in SUBJECTS}
    goals = [
        *(
            Goal(
                f"Median time that the gateway adds, {name}",
                f"at most {_MOST_MILLISECONDS:g} ms",
                f"{added[name]:.2f} ms",
                added[name].median <= _MOST_MILLISECONDS,
            )
            for name in (GENERATE, CHAT)
        ),
        *(
            _at_most(f"Median time that the gateway adds, {name} over LiteLLM's", added[name].over(added[LITELLM]))
            for name in (GENERATE, CHAT)
        ),
        *(
            at_least(
                f"Events/s, {GENERATE}/stream over {name}'s",
                _LEAST_EVENTS,
                events[GENERATE].over(events[name]),
                shown=".1f",
            )
            for name in (LITSERVE, LITSERVE_ZMQ)
        ),
        Goal(
            "Memory of an open stream",
            f"at most {_MOST_KILOBYTES:g} kB",
            f"{memory[GENERATE]:.1f} kB",
            memory[GENERATE].median <= _MOST_KILOBYTES,
        ),
    ]
    tables = [goal_table(goals), _unary_table(figures), _stream_table(figures), _memory_table(figures, memory)]
    write_report(
        "gateway",
        title="The gateway alone",
        method=_METHOD,
        tables=tables,
        plots=[
            Bars("Added latency, one request at a time", "p50, milliseconds: less is better", added),
            Bars("Streams relayed", f"events per second, {CONCURRENCY} streams at once: more is better", events),
        ],
        versions=[
            f"litellm {pinned_version('litellm', 'litellm[proxy]')}",
            f"litserve {pinned_version('litserve', 'litserve')}",
        ],
    )


def _at_most(name: str, seen: Figure) -> Goal:
    return Goal(name, f"at most {_MOST_ADDED:g}", f"{seen:.2f}", seen.median <= _MOST_ADDED)


def _unary_table(figures: dict[str, dict[str, Figure]]) -> Table:
    quantities = ["added p50", "added p99", "requests/s", "CPU s per 1,000 requests"]
    header = ["", "Added p50, ms", "Added p99, ms", "Requests/s", "CPU s per 1,000 requests"]
    return Table(header, _rows(figures, quantities, [_DIRECT, GENERATE, CHAT, LITELLM]), "One answer")


def _stream_table(figures: dict[str, dict[str, Figure]]) -> Table:
    header = ["", "Events/s", "CPU s per 1,000 events"]
    return Table(header, _rows(figures, ["events/s", "CPU s per 1,000 events"], list(figures)), "Streams")


def _memory_table(figures: dict[str, dict[str, Figure]], memory: dict[str, Figure]) -> Table:
    rows = [
        [name, f"{figures[name]['RSS MB']:.0f}", f"{memory[name]:.1f}" if name in memory else "-", str(held or "-")]
        for name, held in ((name, subject.num_held) for name, subject in SUBJECTS.items())
    ]
    return Table(
        ["", "RSS after the load, MB", f"kB per open stream, {_STARTS} starts", "Open streams"], rows, "Memory"
    )


def _rows(figures: dict[str, dict[str, Figure]], quantities: list[str], names: list[str]) -> list[list[str]]:
    return [
        [
            name,
            *(
                format(figures[name][each], _SPECS.get(each, ".3f")) if each in figures[name] else "-"
                for each in quantities
            ),
        ]
        for name in names
    ]


if __name__ == "__main__":
    main()
