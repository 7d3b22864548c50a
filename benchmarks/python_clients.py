"""`make bench-python_clients`: what our Python client takes for a call, beside `openai` and `ollama`.

`ollama` is measured where it is installed: `.venv/bin/pip install --no-deps ollama` (it needs httpx, which is there).
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import openai

from adapter.client import GatewayClient
from benchmarks.canned_gateway import PIECES, READY
from benchmarks.command_line import parse_arguments
from benchmarks.report import RESULTS, Table, at_least, goal_table, write_report
from benchmarks.rounds import Figure, interleave_many
from benchmarks.server_process import ServerProcess, has_said

OURS, OPENAI, OLLAMA = "GatewayClient", "openai", "ollama"
WHOLE, STREAMED, OVER_TLS = "an answer", f"a stream of {PIECES} pieces", "an answer over TLS"
_CALLS = 300
_HEADER = ("", "ms", "CPU ms", "Times as fast is ours", "Of the CPU time")
_METHOD = """\
Each client, made once with its defaults, calls a server that answers at once, in the words of each client's own route:
{calls} calls a round, one after the other, in one process. CPU ms are those of the caller's process. The server is
another one, on the same cores."""

Call = Callable[[], object]


def _clients(url: str) -> Mapping[str, Mapping[str, Call]]:
    """By client: a call that gives a whole answer, and one that gives a stream, read to its end."""
    ours = GatewayClient(url)
    theirs = openai.OpenAI(base_url=f"{url}/v1", api_key="any")
    clients: dict[str, Mapping[str, Call]] = {
        OURS: {
            WHOLE: partial(ours.generate_text, prompt="Once"),
            STREAMED: lambda: [event for event in ours.stream_text(prompt="Once") if event.type == "delta"],
        },
        OPENAI: {
            WHOLE: partial(theirs.completions.create, model="tiny", prompt="Once"),
            STREAMED: lambda: list(theirs.completions.create(model="tiny", prompt="Once", stream=True)),
        },
    }
    if find_spec("ollama"):
        import ollama  # noqa: PLC0415 - where it is installed

        third: Any = ollama.Client(host=url)
        clients[OLLAMA] = {
            WHOLE: partial(third.generate, model="tiny", prompt="Once"),
            STREAMED: lambda: list(third.generate(model="tiny", prompt="Once", stream=True)),
        }
    return clients


def _measure(call: Call, calls: int) -> dict[str, float]:
    began_at, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        call()
    return {
        "seconds": (time.perf_counter() - began_at) / calls,
        "CPU seconds": (time.process_time() - cpu) / calls,
    }


def _server(name: str, *certificate: str) -> ServerProcess:
    command = [sys.executable, "-m", "benchmarks.canned_gateway", "{port}", *certificate]
    return ServerProcess(name, command, is_ready=has_said(name, READY))


def measure(rounds: int, calls: int) -> dict[tuple[str, str], dict[str, Figure]]:
    """By what is asked for and by client."""
    with ExitStack() as stack:
        certificate = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "certificate.pem"
        plain = stack.enter_context(_server("canned gateway")).url
        tls = stack.enter_context(_server("canned gateway, TLS", str(certificate))).url.replace("http:", "https:")
        os.environ["SSL_CERT_FILE"] = str(certificate)
        turns = {(kind, name): call for name, client in _clients(plain).items() for kind, call in client.items()}
        turns |= {(OVER_TLS, name): client[WHOLE] for name, client in _clients(tls).items()}
        named = {f"{kind}, {client}": partial(_measure, call, calls) for (kind, client), call in turns.items()}
        return dict(zip(turns, interleave_many(named, rounds).values(), strict=True))


def main() -> None:
    arguments = parse_arguments()
    calls = 20 if arguments.is_quick else _CALLS
    figures = measure(arguments.rounds, calls)
    rows, goals = [], []
    for (kind, client), taken in figures.items():
        ours = figures[kind, OURS]
        ratios = [taken[each].over(ours[each]) for each in ("seconds", "CPU seconds")]
        times = [f"{taken[each].in_milliseconds:.2f}" for each in ("seconds", "CPU seconds")]
        rows.append([f"{kind}, {client}", *times, *("" if client == OURS else f"{ratio:.2f}" for ratio in ratios)])
        if client != OURS:
            goals.append(at_least(f"{kind}, as fast as {client}", 1, ratios[0]))
    write_report(
        "python_clients",
        title="The Python client beside others",
        method=_METHOD.format(calls=calls),
        tables=[Table(_HEADER, sorted(rows)), goal_table(goals)],
        versions=[f"{name} {version(name)}" for name in (OPENAI, OLLAMA, "httpx2") if find_spec(name)],
        directory=Path(tempfile.gettempdir()) if arguments.is_quick else RESULTS,
    )


if __name__ == "__main__":
    main()
