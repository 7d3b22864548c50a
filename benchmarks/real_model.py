"""`make bench-real_model`: a real chat model in our whole stack, in vLLM's CPU build and in OpenVINO GenAI."""

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.awake_servers import Server, paused
from benchmarks.chat_requests import OUTPUT_TOKENS, body_for, questions, read_chat
from benchmarks.closed_loop import closed_loop
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.own_stack import compiled, own_stack, pack_with_defaults
from benchmarks.peers.environments import pinned_version, python_of
from benchmarks.plots import Bars
from benchmarks.project import PROJECT
from benchmarks.report import Goal, Table, at_least, goal_table, write_report
from benchmarks.rounds import Figure, console, interleave_many
from benchmarks.server_process import ServerProcess, answers

MODEL = PROJECT / ".real_model" / "SmolLM2-135M-Instruct"
REQUESTS = {1: 2, 16: 16, 64: 64}  # of a turn, by the number of streams
OURS, EARLY = "torchbridge", "torchbridge, in its first minutes"
VLLM, VLLM_BEST = "vLLM", "vLLM, both cores"
OPENVINO, OPENVINO_BEST = "OpenVINO GenAI", "OpenVINO GenAI, tuned"
_PATH = "/v1/chat/completions"
_WANTED = 1.3  # times vLLM's tokens/s
_ROUNDS = 3
_MINUTES_TO_START, _MINUTES_PER_ROUND = 4, 3  # on two cores of an EPYC, for the estimate alone

_METHOD = f"""\
SmolLM2-135M-Instruct (`make real-model`), chat completions over HTTP, streamed, greedy, {OUTPUT_TOKENS[0]} to
{OUTPUT_TOKENS[1]} tokens at most, messages of 40 to 60 tokens, new ones in every turn: no cache of answers or prompts
knows them. A closed loop keeps as many requests in flight as there are streams. All servers are up at once, and stopped
(SIGSTOP) but in their turns, which go A B … B A; the first round counts for nothing. *First token*: from sending to the
first text, of a turn's requests."""

_COMPARED = {
    OURS: "`torchbridge pack` and `serve`, nothing said, once `status` says that it has compiled itself",
    EARLY: "the same until then",
    VLLM: "`vllm serve DIRECTORY`, nothing said but 2 GiB for its cache; it keeps one core for its front end",
    VLLM_BEST: "the same with VLLM_CPU_OMP_THREADS_BIND of every core, as its guide for CPUs says to try",
    OPENVINO: "ContinuousBatchingPipeline over 16-bit weights, nothing said but 2 GB for its cache; HTTP by FastAPI",
    OPENVINO_BEST: "the same with PERFORMANCE_HINT=THROUGHPUT, every core, and 2,048 tokens in a batch",
}


class RealPeer(NamedTuple):
    name: str
    environment: str
    is_best: bool

    def start(self, model: Path, threads: int) -> ServerProcess:
        module = f"benchmarks.peers.{self.environment}_server"
        arguments = ["--model", str(model.resolve()), "--port", "{port}", "--threads", str(threads)]
        command = [str(python_of(self.environment)), "-m", module, *arguments, *(["--best"] if self.is_best else [])]
        is_ready = answers("/health" if self.environment == "vllm" else "/openapi.json")
        name = f"{self.environment}{'_best' if self.is_best else ''}"
        return ServerProcess(name, command, is_ready=is_ready, environment={"HF_HUB_OFFLINE": "1"}, directory=PROJECT)


PEERS = (
    RealPeer(VLLM, "vllm", is_best=False),
    RealPeer(VLLM_BEST, "vllm", is_best=True),
    RealPeer(OPENVINO, "openvino", is_best=False),
    RealPeer(OPENVINO_BEST, "openvino", is_best=True),
)


@contextmanager
def servers(threads: int, names: set[str]) -> Iterator[list[Server]]:
    started: list[Server] = []
    with ExitStack() as stack:

        def add(name: str, url: str, model: str) -> None:
            started.append(Server(name, url, _PATH, body_for(model), read_chat, paused(stack, started)))

        archive = pack_with_defaults(MODEL, "real-model")
        if OURS in names:
            compiled(archive)  # now: the machine belongs to what is measured
        for name in [each for each in (OURS, EARLY) if each in names]:
            add(name, stack.enter_context(own_stack(archive, is_compiled=name == OURS)).url, "real-model")
        for peer in [each for each in PEERS if each.name in names]:
            try:
                add(peer.name, stack.enter_context(peer.start(MODEL, threads)).url, "model")
            except RuntimeError as error:  # OpenVINO's tuned settings divide by zero on some processors
                if peer.name == VLLM:
                    raise
                console.print(f"left out: {error}")
        yield started


@dataclass(slots=True)
class Turn:
    """One server at one number of streams. No seed comes twice, whoever is asked."""

    server: Server
    streams: int
    seeds: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self) -> dict[str, float]:
        # The same questions for all in a round, and others at another number of streams.
        asked = questions(REQUESTS[self.streams], 1_000 * self.streams + next(self.seeds))
        bodies = [self.server.body(*each) for each in asked]
        with self.server.awake():
            loop = closed_loop(self.server.url, self.server.path, bodies, self.streams, self.server.read)
        first = sorted(loop.first_tokens)
        p99 = statistics.quantiles(first, n=100, method="inclusive")[-1]
        return {"tokens/s": loop.tokens_per_second, "first p50": statistics.median(first), "first p99": p99}


Figures = Mapping[tuple[str, int], Mapping[str, Figure]]


def measure(started: list[Server], rounds: int, streams: list[int]) -> Figures:
    turns: dict[tuple[str, int], Callable[[], Mapping[str, float]]] = {
        (server.name, each): Turn(server, each) for each in streams for server in started
    }
    taken = interleave_many({f"{name}, {each} streams": turn for (name, each), turn in turns.items()}, rounds)
    return dict(zip(turns, taken.values(), strict=True))


def goals(figures: Figures) -> list[Goal]:
    listed = []
    for streams in sorted({each for _, each in figures}):
        ours, theirs = figures[OURS, streams], figures[VLLM, streams]
        load = f"Real model, compiled, {streams} stream{'s' if streams > 1 else ''}"
        for name, setting in ((VLLM, "as installed"), (VLLM_BEST, "on both cores")):
            if (name, streams) in figures:
                over = ours["tokens/s"].over(figures[name, streams]["tokens/s"])
                listed.append(at_least(f"{load}: tokens/s over vLLM's {setting}", _WANTED, over))
        first = ours["first p50"].over(theirs["first p50"])
        name = f"{load}: time to first token over vLLM's as installed"
        listed.append(Goal(name, "at most 1", f"{first:.2f}", first.median <= 1))
    return listed


def tables(figures: Figures) -> list[Table]:
    streams = sorted({each for _, each in figures})
    names = list(dict.fromkeys(name for name, _ in figures))
    loads = [f"{each} streams" for each in streams]

    def table(title: str, cell: Callable[[str, int], str]) -> Table:
        return Table(["", *loads], [[name, *(cell(name, each) for each in streams)] for name in names], title)

    def ratio(name: str, each: int) -> str:
        return f"{figures[OURS, each]['tokens/s'].over(figures[name, each]['tokens/s']):.2f}"

    return [
        Table(["", "What it is"], [[name, _what_it_is(name, names)] for name in _COMPARED], "What is compared"),
        table("Tokens per second", lambda name, each: f"{figures[name, each]['tokens/s']:.1f}"),
        table(f"Tokens per second of {OURS} over theirs", ratio),
        table("First token, p50 in seconds", lambda name, each: f"{figures[name, each]['first p50']:.2f}"),
        table("First token, p99 in seconds", lambda name, each: f"{figures[name, each]['first p99']:.2f}"),
    ]


def _what_it_is(name: str, measured: list[str]) -> str:
    return _COMPARED[name] if name in measured else f"{_COMPARED[name]}: it does not start on this machine"


def main() -> None:
    arguments = parse_arguments()
    exit_on_sigterm()
    rounds = 1 if arguments.is_quick else min(arguments.rounds, _ROUNDS)
    minutes = _MINUTES_TO_START + _MINUTES_PER_ROUND * (rounds + 1)
    console.print(f"about {minutes} minutes on a quiet machine, and 10 more at first")
    with servers(arguments.threads, set(_COMPARED)) as started:
        figures = measure(started, rounds, sorted(REQUESTS))
    write_report(
        "real_model",
        title="A real model beside other servers",
        method=_METHOD,
        tables=[goal_table(goals(figures)), *tables(figures)],
        plots=[
            Bars(
                "SmolLM2-135M-Instruct, 16 streams",
                "tokens per second: more is better",
                {name: quantities["tokens/s"] for (name, streams), quantities in figures.items() if streams == 16},  # noqa: PLR2004 - as the title says
            )
        ],
        versions=[
            f"vLLM {pinned_version('vllm', 'vllm-cpu')}",
            f"OpenVINO GenAI {pinned_version('openvino', 'openvino-genai')}",
        ],
    )


if __name__ == "__main__":
    main()
