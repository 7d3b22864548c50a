"""What TorchServe and its processes say of themselves."""

import time
from collections.abc import Callable

import psutil

from adapter.torchserve.management_client import ModelDescription
from adapter.torchserve.server_process import TorchServeProcess
from tests.waiting import wait_until


def describe(torchserve: TorchServeProcess, model: str) -> ModelDescription:
    [description] = torchserve.management.describe(model)
    return description


def num_waiting(torchserve: TorchServeProcess) -> int:
    return describe(torchserve, "endless").job_queue_status.pending_requests


def cpu_seconds(torchserve: TorchServeProcess) -> float:
    worker = psutil.Process(describe(torchserve, "endless").workers[0].pid)
    return worker.cpu_times().user


def wait_until_idle(cpu_seconds: Callable[[], float]) -> None:
    def is_idle() -> bool:
        before = cpu_seconds()
        time.sleep(1)
        return cpu_seconds() == before

    wait_until(is_idle)


def java(torchserve: TorchServeProcess) -> psutil.Process:
    worker = psutil.Process(describe(torchserve, "tiny").workers[0].pid)
    [process] = [parent for parent in worker.parents() if parent.name() == "java"]
    return process
