"""What happens when a caller leaves, or Java stalls."""

import time

import psutil
import pytest

from adapter.schema import DoneEvent
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.gateway_calls import post, stream
from tests.end_to_end.observing import cpu_seconds, java, wait_until_idle
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
