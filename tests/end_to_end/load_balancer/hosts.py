"""Hosts of a service: `torchbridge serve`, each with its own TorchServe, directory and ports, all on this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.end_to_end.serve_command import LIGHT_TORCHBRIDGE
from tests.free_ports import free_port, write_torchserve_config
from tests.processes import processes_of
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

PROGRAM = str(Path(sys.executable).with_name("torchbridge"))


@dataclass
class RunningHost:
    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def run_directory(self) -> Path:
        return self.directory / "run"

    def wait_until_serving(self) -> None:
        output = self.directory / "output"
        wait_until(
            lambda: b"until Ctrl-C" in output.read_bytes() or self.process.poll() is not None, PATIENCE_WITH_WORKERS
        )
        assert self.process.poll() is None, output.read_text()

    def kill(self) -> None:
        """All of it at once, as where the machine loses its power."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def drain(self) -> None:
        self.process.terminate()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """The parent first: it must not see a child end, and start it again."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        for process in processes_of(self.run_directory):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@contextmanager
def running_hosts(
    directory: Path, count: int, arguments: Sequence[str], environment: Mapping[str, str]
) -> Iterator[list[RunningHost]]:
    """They start beside each other; `arguments` are for `torchbridge serve`."""
    with ExitStack() as until_the_end:
        hosts = [
            until_the_end.enter_context(_started(directory / f"{n}", arguments, environment)) for n in range(count)
        ]
        for host in hosts:
            host.wait_until_serving()
        yield hosts


@contextmanager
def _started(directory: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[RunningHost]:
    directory.mkdir(parents=True)
    config = write_torchserve_config(directory / "config.properties")
    port = free_port()
    command = [
        *LIGHT_TORCHBRIDGE,
        "serve",
        "--port",
        str(port),
        "--torchserve-config",
        str(config),
        "--no-compile",
        *arguments,
    ]
    command += ["--run-directory", str(directory / "run")]
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment)
    host = RunningHost(directory, port, process)
    try:
        yield host
    finally:
        host.kill()  # one that is told to stop may wait for its balancer, and one that is frozen hears nothing
