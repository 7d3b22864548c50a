"""A gateway whose event loop is watched, in a process of its own: `python -m benchmarks.watched_gateway DESCRIPTORS`.

As `torchbridge serve` runs it, over the TorchServe that TORCHBRIDGE_* name, on a free port, with that many file
descriptors. It prints its port, and then, for each line on its standard input, what LoopWatch has seen since the last.
"""

import asyncio
import json
import logging
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable

from adapter.process.background_output import background_output
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind

_SLEEP = 0.01  # seconds


class LoopWatch:
    """A task that sleeps, again and again, and sees how much longer than asked for it slept."""

    def __init__(self) -> None:
        self._longest: list[float] = [0, 0]

    async def watch(self) -> None:
        while True:
            began, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_SLEEP)
            late = time.perf_counter() - began - _SLEEP
            held = min(late, time.thread_time() - computed)
            self._longest = [max(self._longest[0], late), max(self._longest[1], held)]

    def take(self) -> dict[str, float]:
        """In seconds: the longest delay, and the longest that the loop's own thread computed through."""
        (late, held), self._longest = self._longest, [0, 0]
        return {"late": late, "held": held}


class _WatchedServer(GatewayServer):
    def __init__(self, settings: Settings, watch: LoopWatch, say_port: Callable[[int], None]) -> None:
        super().__init__(settings)
        self._watch = watch
        self._say_port = say_port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._watching = asyncio.create_task(self._watch.watch())
        for listener in sockets or []:
            self._say_port(listener.getsockname()[1])


def main() -> None:
    descriptors = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    watch, answers = LoopWatch(), sys.stdout

    def say(answer: object) -> None:
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()

    def answer_lines() -> None:
        for _ in sys.stdin:
            say(watch.take())

    threading.Thread(target=answer_lines, daemon=True).start()
    with background_output(), bind("127.0.0.1", 0, "the gateway", "") as listener:
        logging.basicConfig()
        logging.getLogger("adapter").setLevel(logging.INFO)  # a line for each request
        _WatchedServer(Settings(port=0), watch, say).run(sockets=[listener])


if __name__ == "__main__":
    main()
