"""`torchbridge serve` as a user starts it, by its command."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.free_ports import write_torchserve_config
from tests.processes import processes_of
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

Serve = Callable[..., subprocess.Popen[str]]

TORCHBRIDGE = (str(Path(sys.executable).with_name("torchbridge")),)
# Workers with the light handler start in a second.
LIGHT_TORCHBRIDGE = (sys.executable, "-m", "tests.end_to_end.versions.light_command")


@contextmanager
def serving(directory: Path, program: Sequence[str] = TORCHBRIDGE) -> Iterator[Serve]:
    """Starts the command on ports, a store and a run directory of its own."""
    config = write_torchserve_config(directory / "config.properties")
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [*program, "serve", "--port", "0"]
        command += ["--run-directory", str(directory / "run")]
        command += ["--torchserve-config", str(config), *arguments]
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=directory)
        )
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()
    wait_until(lambda: not processes_of(directory / "run"))


def url_in(output: str) -> str:
    return re.findall(r"http://127\.0\.0\.1:\d+", output)[0]


def read_until(process: subprocess.Popen[str], text: str, *, is_error: bool = False) -> str:
    """All up to the line with `text`, of its standard output or its standard error."""
    read, other = (process.stderr, process.stdout) if is_error else (process.stdout, process.stderr)
    assert read is not None
    assert other is not None
    seen = ""
    with ended_later(process):
        for line in read:
            seen += line
            if text in line:
                return seen
        raise AssertionError(f"it ended without {text!r}: {seen}{other.read()}")


@contextmanager
def ended_later(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whoever waits for its words does not wait for ever."""
    timer = threading.Timer(PATIENCE_WITH_WORKERS, process.terminate)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
