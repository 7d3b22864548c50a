"""A server that is measured: in a process group of its own, with a log, until the end of its block."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from benchmarks.random_models import CACHE

_LOGS = CACHE / "logs"
_START_TIMEOUT, _STOP_TIMEOUT = 240, 30  # seconds
_SECONDS_BETWEEN_LOOKS = 0.1


class Usage(NamedTuple):
    """Of a server's process and all below it."""

    cpu_seconds: float
    resident_bytes: int


IsReady = Callable[[str], bool]  # of a server's URL


def answers(path: str) -> IsReady:
    def is_ready(url: str) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url + path, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    return is_ready


def has_said(name: str, words: str) -> IsReady:
    """Whether `words` are in the log of the server of that name."""
    return lambda _: words in _log_of(name).read_text(encoding="utf-8", errors="replace")


class ServerProcess:
    """`{port}` in the command is a port that was free. Inside of `with`, the server `is_ready`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        is_ready: IsReady,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self._name = name
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [part.format(port=port) for part in command]
        self._environment = {name: value.format(port=port) for name, value in (environment or {}).items()}
        self._is_ready = is_ready
        self._directory = directory

    def __enter__(self) -> Self:
        _LOGS.mkdir(parents=True, exist_ok=True)
        self._log = _log_of(self._name)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                env={**os.environ, **self._environment},
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def usage(self) -> Usage:
        process = psutil.Process(self._process.pid)
        cpu_seconds, resident_bytes = 0.0, 0
        for each in [process, *process.children(recursive=True)]:
            times = each.cpu_times()
            cpu_seconds += times.user + times.system
            resident_bytes += each.memory_info().rss
        return Usage(cpu_seconds, resident_bytes)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._is_ready(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._name} did not start: see {self._log}")
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _stop(self) -> None:
        """All that it started ends with it."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # all of it has ended


def _log_of(name: str) -> Path:
    return _LOGS / f"{name}.log"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
