"""Starts watched_gateway.py, whose standard error nobody reads, and sends one abuse after the other to it."""

import array
import fcntl
import json
import os
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

from benchmarks.project import PROJECT

NUM_DESCRIPTORS = 300


class AbusedGateway:
    """It is there inside of `with`."""

    def __init__(self, torchserve_url: str, management_url: str, key_file: Path, model_store: Path) -> None:
        self._environment = {
            "TORCHBRIDGE_TORCHSERVE_URL": torchserve_url,
            "TORCHBRIDGE_MANAGEMENT_URL": management_url,
            "TORCHBRIDGE_KEY_FILE": str(key_file.resolve()),
            "TORCHBRIDGE_MODEL_STORE": str(model_store.resolve()),
        }

    def __enter__(self) -> Self:
        self._process = _start("benchmarks.watched_gateway", str(NUM_DESCRIPTORS), environment=self._environment)
        self.url = f"http://127.0.0.1:{json.loads(_line(self._process.stdout))}"
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def longest_delays(self) -> dict[str, float]:
        """What LoopWatch has seen since this was last asked for, in seconds."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        delays: dict[str, float] = json.loads(_line(self._process.stdout))
        return delays

    @property
    def num_unread(self) -> int:
        """Bytes that wait in its standard error."""
        assert self._process.stderr is not None  # noqa: S101 - it is a pipe
        waiting = array.array("i", [0])
        fcntl.ioctl(self._process.stderr, termios.FIONREAD, waiting)
        return waiting[0]

    def abuse(self, name: str, share: float = 1) -> None:
        """Returns when this share of the abuse (benchmarks/abuses.py) has ended; it runs in a process of its own."""
        with _start("benchmarks.abuses", name, self.url, str(share)) as process:
            _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{name} failed: {errors.decode()}")


def _start(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        cwd=PROJECT,
    )


def _line(stream: IO[bytes] | None) -> bytes:
    assert stream is not None  # noqa: S101 - it is a pipe
    return stream.readline()
