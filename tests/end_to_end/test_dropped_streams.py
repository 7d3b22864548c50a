"""Streams that a TypeScript program opens and drops: nothing of them is left on any layer."""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.client_programs import NODE, TIMEOUT, compiled_client
from tests.end_to_end.observing import cpu_seconds, num_waiting, wait_until_idle
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

NUM_STREAMS = 200 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 60


def sockets_to(url: str) -> int:
    """Of this process, which the gateway is a part of, and of whoever calls it."""
    port = urlsplit(url).port
    connections = psutil.net_connections("tcp")
    open_ones = [each for each in connections if each.status in {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}]
    return sum(port in {each.laddr.port, each.raddr.port if each.raddr else None} for each in open_ones)


def live_requests(gateway_url: str) -> float:
    metrics = requests.get(f"{gateway_url}/metrics", timeout=TIMEOUT).text
    [line] = [line for line in metrics.splitlines() if line.startswith("torchbridge_live_requests ")]
    return float(line.split()[1])


def test_dropped_streams_leave_no_request_slot_or_socket(
    gateway_url: str, torchserve: TorchServeProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = Path(__file__).with_name("dropped_streams.mjs")
    command = [NODE, program, compiled_client(tmp_path_factory), gateway_url, str(NUM_STREAMS)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
    ends = json.loads(done.stdout)
    assert sum(ends.values()) == NUM_STREAMS
    assert min(ends["aborted"], ends["left"]) > NUM_STREAMS / 10

    wait_until(lambda: live_requests(gateway_url) == 0)
    wait_until(lambda: num_waiting(torchserve) == 0)
    wait_until_idle(lambda: cpu_seconds(torchserve))
    wait_until(lambda: sockets_to(torchserve.properties["inference_address"]) == 0)
    wait_until(lambda: sockets_to(gateway_url) == 0)
