"""One rate limit of a service of four hosts, which count together in a real Redis behind the real HAProxy.

By the day: of 60 a minute a machine that stalls for a second would give one more.
"""

import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.end_to_end.load_balancer.haproxy import haproxy_program, running_haproxy
from tests.free_ports import free_ports
from tests.project import PROJECT
from tests.redis_server import BINARY, RedisServer
from tests.waiting import PATIENCE, wait_until

NUM_HOSTS, LIMIT, NUM_CALLS = 4, 60, 100

pytestmark = [
    pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it"),
    pytest.mark.skipif(BINARY is None, reason="there is no Redis"),
]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, secrets.token_hex(8))
    yield server
    server.kill()


@contextmanager
def simulated(port: int, redis: RedisServer) -> Iterator[None]:
    """No model is needed to count."""
    limits = {"TORCHBRIDGE_RATE_LIMIT": f"{LIMIT}/day", "TORCHBRIDGE_REDIS_URL": redis.url}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.end_to_end.load_balancer.patient_simulation", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        env=os.environ | limits,
        cwd=PROJECT,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def is_ready(port: int) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE).ok
    return False


def test_four_hosts_admit_what_one_would(redis: RedisServer, tmp_path: Path) -> None:
    ports, [port, statistics_port] = free_ports(NUM_HOSTS), free_ports(2)
    with ExitStack() as until_the_end:
        for each in ports:
            until_the_end.enter_context(simulated(each, redis))
        wait_until(lambda: all(map(is_ready, ports)))  # HAProxy takes a host for ready until it has looked
        haproxy = until_the_end.enter_context(running_haproxy(tmp_path, ports, ports=(port, statistics_port)))

        def ask(_: int) -> int:
            return requests.post(f"{haproxy.url}/generate", json={"prompt": "Once"}, timeout=PATIENCE).status_code

        with ThreadPoolExecutor(8) as callers:
            statuses = Counter(callers.map(ask, range(NUM_CALLS)))
    assert statuses == {200: LIMIT, 429: NUM_CALLS - LIMIT}
