"""Ours and the peers, all up at once, of which one at a time has the machine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.closed_loop import Read, read_answer, read_events
from benchmarks.own_stack import compiled, generation, own_stack, pack
from benchmarks.peers.servers import PEERS, running

OURS, STREAMED = "torchbridge", "torchbridge, streamed"
COMPILED, COMPILED_STREAMED = "torchbridge, compiled", "torchbridge, compiled, streamed"


class Server(NamedTuple):
    """One that is up, and has the machine to itself while it is awake."""

    name: str
    url: str
    path: str
    body: Callable[[str, int], dict[str, Any]]
    read: Read
    processes: list[psutil.Process]

    @contextmanager
    def awake(self) -> Iterator[None]:
        for process in self.processes:
            process.resume()
        yield
        for process in self.processes:
            process.suspend()


@contextmanager
def servers(directory: Path, threads: int) -> Iterator[list[Server]]:
    """Ours first, without compiled steps and with them, and each once more for streams.

    All are stopped (SIGSTOP) but in their turns: some of them poll while they are idle.
    """
    started: list[Server] = []
    with ExitStack() as stack:
        archive = pack(directory, threads)
        compiled(archive)
        for is_compiled, whole, streamed in ((False, OURS, STREAMED), (True, COMPILED, COMPILED_STREAMED)):
            own = stack.enter_context(own_stack(archive, is_compiled=is_compiled))
            processes = paused(stack, started)
            started.append(Server(whole, own.url, "/generate", generation, read_answer, processes))
            started.append(Server(streamed, own.url, "/generate/stream", generation, read_events, processes))
        for peer in PEERS:
            server = stack.enter_context(running(peer, directory, threads))
            started.append(Server(peer.name, server.url, peer.path, peer.body, read_answer, paused(stack, started)))
        yield started


def paused(stack: ExitStack, others: list[Server]) -> list[psutil.Process]:
    """Those of the server that was started last: on the way out they run again, so that they hear of their end."""
    known = {process for server in others for process in server.processes}
    processes = [process for process in psutil.Process().children(recursive=True) if process not in known]
    stack.callback(_resume, processes)
    for process in processes:
        process.suspend()
    return processes


def _resume(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()
