"""A `torchbridge serve` of a test's own, with what runs below it."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from adapter.errors import TorchbridgeError
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient, ModelDescription
from adapter.torchserve.properties import read_properties
from tests.end_to_end.serve_command import LIGHT_TORCHBRIDGE, TORCHBRIDGE
from tests.end_to_end.versions.light_archives import CONFIG, LightArchives
from tests.free_ports import write_torchserve_config
from tests.processes import processes_of
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until
from torchbridge import GatewayClient


@dataclass
class Served:
    process: subprocess.Popen[str]
    run_directory: Path
    url: str
    keys: KeyFile
    management: ManagementClient
    model: str

    def describe(self) -> ModelDescription:
        [description] = self.management.describe(self.model)
        return description

    def worker(self) -> psutil.Process:
        return psutil.Process(self.describe().workers[0].pid)

    def java(self) -> psutil.Process:
        [java] = [process for process in processes_of(self.run_directory) if process.name() == "java"]
        return java

    def gateway(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def processes(self) -> list[psutil.Process]:
        return [self.gateway(), *processes_of(self.run_directory)]

    def has_ready_worker(self) -> bool:
        try:
            return self.describe().ready_workers == 1
        except TorchbridgeError:
            return False

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._is_healthy() and self.has_ready_worker(), PATIENCE_WITH_WORKERS)

    def _is_healthy(self) -> bool:
        try:
            with GatewayClient(self.url) as client:
                client.health()
        except TorchbridgeError:
            return False
        return True


@contextmanager
def serving_model(directory: Path, model: Path, environment: Mapping[str, str]) -> Iterator[Served]:
    """Nothing of it runs on when it has ended."""
    command = [*TORCHBRIDGE, "serve", "--model", str(model)]
    with _serving(command, model.name, directory, environment) as served:
        yield served


@contextmanager
def serving_light_model(directory: Path, environment: Mapping[str, str], config: str = CONFIG) -> Iterator[Served]:
    """Its workers start in a second."""
    archives = LightArchives(directory / "archives", config=config)
    command = [*LIGHT_TORCHBRIDGE, "serve", "--model", str(archives.make("1.0")), "--key", str(archives.public_key)]
    with _serving(command, archives.name, directory, environment) as served:
        yield served


@contextmanager
def _serving(command: Sequence[str], model: str, directory: Path, environment: Mapping[str, str]) -> Iterator[Served]:
    config = write_torchserve_config(directory / "config.properties")
    management_address = read_properties(config)["management_address"]
    run_directory = directory / "run"
    options = ["--port", "0", "--run-directory", str(run_directory), "--torchserve-config", str(config)]
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=directory,
        env=os.environ | environment,
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=process.stdout.read)  # what it says later must not fill the pipe
        try:
            url = next(found[0] for line in process.stdout if (found := re.findall(r"http://127\.0\.0\.1:\d+", line)))
            reader.start()
            keys = KeyFile(run_directory / "key_file.json", management_address)
            management = ManagementClient(management_address, keys)
            yield Served(process, run_directory, url, keys, management, model)
        finally:
            process.terminate()
            process.wait()
            if reader.is_alive():
                reader.join()
    assert processes_of(run_directory) == []
