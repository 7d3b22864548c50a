"""What happens when a caller leaves, Java stalls or the worker is killed."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from adapter.schema import DoneEvent
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.gateway_calls import post, stream
from tests.end_to_end.observing import cpu_seconds, describe, java, wait_until_idle
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve


def test_nothing_is_decoded_for_callers_that_have_all_left(gateway_url: str, torchserve: TorchServeProcess) -> None:
    with stream(gateway_url, prompt="Once", model="endless", max_length=32_000) as (_, events):
        for _ in range(5):
            next(events)
        busy = cpu_seconds(torchserve)
        wait_until(lambda: cpu_seconds(torchserve) > busy)
    wait_until_idle(lambda: cpu_seconds(torchserve))


def test_java_that_stalls_for_two_seconds_loses_and_changes_nothing(
    gateway_url: str, torchserve: TorchServeProcess
) -> None:
    request = {"prompt": "Once", "model": "endless", "max_length": 600, "temperature": 0}
    undisturbed = post(gateway_url, **request).json()["text"]
    process = java(torchserve)
    with stream(gateway_url, **request) as (_, events):
        next(events)
        process.suspend()
        try:
            wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
            time.sleep(2)
        finally:
            process.resume()
        *_, done = events

    assert isinstance(done, DoneEvent)
    assert done.response.text == undisturbed


@pytest.fixture
def worker_pid(torchserve: TorchServeProcess) -> Iterator[int]:
    yield describe(torchserve, "endless").workers[0].pid
    wait_until(lambda: describe(torchserve, "endless").ready_workers == 1)


def test_worker_that_is_killed_comes_back_and_its_streams_go_on(
    gateway_url: str, torchserve: TorchServeProcess, worker_pid: int
) -> None:
    request = {"prompt": "Twice", "model": "endless", "max_length": 600, "temperature": 0}
    with stream(gateway_url, **request) as (_, events):
        assert [next(events).type, next(events).type] == ["start", "delta"]
        psutil.Process(worker_pid).send_signal(signal.SIGKILL)
        *_, last = events
    assert isinstance(last, DoneEvent)
    assert last.response.tokens_generated == 600

    wait_until(lambda: describe(torchserve, "endless").ready_workers == 1)
    assert describe(torchserve, "endless").workers[0].pid != worker_pid
    assert post(gateway_url, prompt="Once", model="endless", max_length=2).json()["tokens_generated"] == 2


def test_worker_that_is_killed_before_any_text_fails_no_unary_request(gateway_url: str, worker_pid: int) -> None:
    worker = psutil.Process(worker_pid)
    with ThreadPoolExecutor(1) as pool:
        worker.suspend()  # so that nothing can be produced before its end
        answer = pool.submit(post, gateway_url, prompt="Once", model="endless", max_length=3)
        with pytest.raises(TimeoutError):
            answer.result(timeout=2)
        worker.kill()
        assert answer.result().json()["tokens_generated"] == 3
