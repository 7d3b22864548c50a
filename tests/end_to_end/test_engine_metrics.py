"""What a real worker's engine did is at the gateway's /metrics, and a worker that dies is counted."""

import os
import signal

import pytest
import requests

from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.gateway_calls import TIMEOUT, post
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

pytestmark = pytest.mark.torchserve

MODEL = 'model="tiny",model_version="1.0"'
ANSWERED = f'torchbridge_engine_tokens_total{{{MODEL},source="answer"}}'
STARTS = f"torchbridge_worker_starts_total{{{MODEL}}}"


def values(gateway_url: str) -> dict[str, float]:
    lines = requests.get(f"{gateway_url}/metrics", timeout=TIMEOUT).text.splitlines()
    parts = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in parts}


def test_the_engine_s_tokens_and_steps_are_shown(gateway_url: str) -> None:
    post(gateway_url, prompt="Once upon a time", max_length=20, ignore_eos=True, seed=1)
    wait_until(lambda: values(gateway_url).get(ANSWERED, 0) >= 20)
    found = values(gateway_url)
    assert found[f"torchbridge_engine_step_seconds_count{{{MODEL}}}"] >= 20
    assert found[f"torchbridge_engine_cache_bytes{{{MODEL}}}"] > 0
    assert found[f"torchbridge_compiled_steps{{{MODEL}}}"] in {0, 1}
    assert found["torchbridge_torchserve_up"] == 1


def test_a_worker_that_dies_is_counted_and_its_successor_counts_anew(
    gateway_url: str, torchserve: TorchServeProcess
) -> None:
    wait_until(lambda: STARTS in values(gateway_url))
    before = values(gateway_url)[STARTS]
    [description] = torchserve.management.describe("tiny")
    for worker in description.workers:
        os.kill(worker.pid, signal.SIGKILL)
    post(gateway_url, prompt="Once upon a time", max_length=3, ignore_eos=True, seed=2)
    wait_until(lambda: values(gateway_url)[STARTS] == before + 1, PATIENCE_WITH_WORKERS)
    wait_until(lambda: 3 <= values(gateway_url).get(ANSWERED, 0) < 20)
