"""What happens when a caller leaves, the house is full, Java stalls or the worker is killed."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from adapter.schema import DeltaEvent, DoneEvent, ErrorCode, ErrorEvent
from adapter.server_process import TorchServeProcess
from tests.end_to_end.gateway_calls import expect_problem, post, stream
from tests.end_to_end.observing import cpu_seconds, describe, java, num_waiting, wait_until_idle
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve


def test_full_house_waits_and_a_caller_that_leaves_makes_room(gateway_url: str, torchserve: TorchServeProcess) -> None:
    endless = {"prompt": "Once", "model": "endless", "max_length": 32_000}
    with (
        ThreadPoolExecutor(1) as pool,
        stream(gateway_url, **endless) as (first, first_events),
        stream(gateway_url, **endless) as (_, second_events),
    ):
        assert {next(first_events).type, next(second_events).type} == {"start"}
        third = pool.submit(post, gateway_url, prompt="The fox", model="endless", max_length=3)
        wait_until(lambda: num_waiting(torchserve) == 1)
        assert not third.done()
        first.close()

        assert third.result().json()["tokens_generated"] == 3
        assert isinstance(next(second_events), DeltaEvent)


def test_full_queue_is_refused_at_once(gateway_url: str, torchserve: TorchServeProcess) -> None:
    endless = {"prompt": "Once", "model": "endless", "max_length": 32_000}
    with (
        ThreadPoolExecutor(4) as pool,
        stream(gateway_url, **endless) as (_, first),
        stream(gateway_url, **endless) as (
            _,
            second,
        ),
    ):
        next(first)
        next(second)
        waiting = [pool.submit(post, gateway_url, prompt="A", model="endless", max_length=1) for _ in range(4)]
        wait_until(lambda: num_waiting(torchserve) == 4)
        with stream(gateway_url, **endless) as (response, _):
            problem = expect_problem(response, "overloaded")
        assert problem.retryable
        assert response.headers["retry-after"] == str(problem.retry_after)
        first.close()
        second.close()
    del waiting


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


def test_worker_that_is_killed_ends_its_streams_with_an_error_event_and_comes_back(
    gateway_url: str, torchserve: TorchServeProcess, worker_pid: int
) -> None:
    with stream(gateway_url, prompt="Once", model="endless", max_length=32_000) as (_, events):
        assert [next(events).type, next(events).type] == ["start", "delta"]
        psutil.Process(worker_pid).send_signal(signal.SIGKILL)
        *_, last = events
    assert isinstance(last, ErrorEvent)
    assert last.problem.code == ErrorCode.WORKER_DIED

    wait_until(lambda: describe(torchserve, "endless").ready_workers == 1)
    assert describe(torchserve, "endless").workers[0].pid != worker_pid
    assert post(gateway_url, prompt="Once", model="endless", max_length=2).json()["tokens_generated"] == 2
