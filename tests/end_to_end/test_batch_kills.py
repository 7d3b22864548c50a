"""A batch on the real stack, of which each process is killed again and again."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.adapter.batches.batch_calls import begin, line, lines_of, state_of, wait_for_end
from tests.free_ports import free_port, write_torchserve_config
from tests.processes import processes_of
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

pytestmark = [
    pytest.mark.torchserve,
    # The gateway's part of it is tests/adapter/batches/test_kills.py, in seconds.
    pytest.mark.skipif("TORCHBRIDGE_TEST_EVERY_POINT" not in os.environ, reason="make soak runs it"),
]

NUM_LINES, NUM_KILLS = 1_000, 5  # of each process
TOKENS = 8


class Stack:
    """`torchbridge serve`, which may be killed and started again in the same run directory."""

    def __init__(self, place: Path) -> None:
        self.run_directory = place / "run"
        self._place = place
        self._port = free_port()
        self._config = write_torchserve_config(place / "config.properties")
        self._process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=60)
        self._num_starts = 0

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("torchbridge")), "serve", "--port", str(self._port)]
        command += ["--run-directory", str(self.run_directory), "--torchserve-config", str(self._config)]
        self._num_starts += 1
        with (self._place / f"output-{self._num_starts}").open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self._place)
        wait_until(self._is_up, PATIENCE_WITH_WORKERS)

    def kill_gateway(self) -> None:
        """All that it had started ends with it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        wait_until(lambda: not processes_of(self.run_directory))
        self.start()

    def kill_torchserve(self) -> None:
        self._kill("/java ")

    def kill_worker(self) -> None:
        self._kill("model_service_worker.py")  # and not the launcher, with which TorchServe ends, too

    def _kill(self, name: str) -> None:
        found = [each for each in processes_of(self.run_directory) if name in " ".join(each.cmdline()[:2]) + " "]
        assert found, name
        for each in found:
            each.send_signal(signal.SIGKILL)
        psutil.wait_procs(found)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "it ended"
        try:
            return self.client.get("/readyz").is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self.client.close()


@contextmanager
def running(place: Path) -> Iterator[Stack]:
    stack = Stack(place)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def request(number: int) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": f"Once {number}"}], "max_tokens": TOKENS, "temperature": 1}
    return line(number, body=body)


def test_a_batch_outlives_kills_of_each_process(tmp_path: Path) -> None:
    chance = random.Random(7)
    with running(tmp_path) as stack:
        batch = begin(stack.client, *map(request, range(NUM_LINES)))

        def num_answered() -> int:
            return state_of(stack.client, batch)["request_counts"]["completed"]

        # In this order: the same gateway does not start a TorchServe again that ends too often.
        kills: list[Callable[[], None]] = [stack.kill_worker, stack.kill_torchserve, stack.kill_gateway] * NUM_KILLS
        step = NUM_LINES // (len(kills) + 1)
        for kill in kills:
            # Past those that ran at the kill before: no request has to be there at all of them.
            enough = num_answered() + chance.randrange(step // 2, step)
            wait_until(lambda enough=enough: num_answered() >= enough, PATIENCE_WITH_WORKERS)
            kill()
        at_the_last_kill = num_answered()
        assert at_the_last_kill < NUM_LINES
        wait_until(lambda: state_of(stack.client, batch)["completed_at"] is not None, 3 * PATIENCE_WITH_WORKERS)
        ended = wait_for_end(stack.client, batch)
        answered = lines_of(stack.client, ended["output_file_id"])
    assert (ended["status"], ended["error_file_id"]) == ("completed", None)
    assert Counter(each["custom_id"] for each in answered) == Counter(f"request-{n}" for n in range(NUM_LINES))
