"""A `torchbridge serve` of its own, with what runs below it."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from adapter.errors import TorchbridgeError
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient, ModelDescription
from adapter.torchserve.properties import read_properties
from adapter.torchserve.server_process import CONFIG_FILE
from tests.free_ports import torchserve_properties
from tests.processes import processes_of
from tests.project import PROJECT
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until
from torchbridge import GatewayClient

_ENVIRONMENT = {"TORCHBRIDGE_SILENCE_TIMEOUT": "16", "TORCHBRIDGE_CACHE_MAX_AGE": "0", "TORCHBRIDGE_COMPILE": "false"}


@dataclass
class Served:
    process: subprocess.Popen[str]
    run_directory: Path
    url: str
    keys: KeyFile
    management: ManagementClient

    def worker(self) -> psutil.Process:
        return psutil.Process(self._description().workers[0].pid)

    def java(self) -> psutil.Process:
        [java] = [process for process in processes_of(self.run_directory) if process.name() == "java"]
        return java

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready, PATIENCE_WITH_WORKERS)

    def _is_ready(self) -> bool:
        try:
            with GatewayClient(self.url) as client:
                client.health()
            return self._description().ready_workers == 1
        except TorchbridgeError:
            return False

    def _description(self) -> ModelDescription:
        [description] = self.management.describe("tiny")
        return description


@contextmanager
def serving_tiny(directory: Path) -> Iterator[Served]:
    properties = read_properties(CONFIG_FILE) | torchserve_properties()
    config = directory / "config.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    run_directory = directory / "run"
    command = [str(Path(sys.executable).with_name("torchbridge")), "serve", "--port", "0"]
    command += ["--model", str(PROJECT / "models" / "tiny")]
    command += ["--run-directory", str(run_directory), "--torchserve-config", str(config)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=directory,
        env=os.environ | _ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=process.stdout.read)  # what it says later must not fill the pipe
        try:
            url = next(found[0] for line in process.stdout if (found := re.findall(r"http://127\.0\.0\.1:\d+", line)))
            reader.start()
            keys = KeyFile(run_directory / "key_file.json", properties["management_address"])
            management = ManagementClient(properties["management_address"], keys)
            yield Served(process, run_directory, url, keys, management)
        finally:
            process.terminate()
            process.wait()
            if reader.is_alive():
                reader.join()
