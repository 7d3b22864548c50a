"""One rate limit of a service of several hosts, which count together in a real Redis behind the real HAProxy.

By the day: of 60 a minute a machine that stalls for a second would give one more. `make soak` counts those, too.
"""

import os
import secrets
import subprocess
import sys
import time
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

EVERY_POINT = bool(os.environ.get("TORCHBRIDGE_TEST_EVERY_POINT"))
NUM_HOSTS = 4 if EVERY_POINT else 2
LIMIT, NUM_CALLS = 60, 100

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
def simulated(port: int, redis: RedisServer, unit: str) -> Iterator[None]:
    """No model is needed to count."""
    limits = {"TORCHBRIDGE_RATE_LIMIT": f"{LIMIT}/{unit}", "TORCHBRIDGE_REDIS_URL": redis.url}
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


@contextmanager
def service(redis: RedisServer, directory: Path, unit: str) -> Iterator[str]:
    """Its address."""
    ports, [port, statistics_port] = free_ports(NUM_HOSTS), free_ports(2)
    with ExitStack() as until_the_end:
        for each in ports:
            until_the_end.enter_context(simulated(each, redis, unit))
        wait_until(lambda: all(map(is_ready, ports)))  # HAProxy takes a host for ready until it has looked
        yield until_the_end.enter_context(running_haproxy(directory, ports, ports=(port, statistics_port))).url


def statuses_of_calls(url: str) -> Counter[int]:
    def ask(_: int) -> int:
        return requests.post(f"{url}/generate", json={"prompt": "Once"}, timeout=PATIENCE).status_code

    with ThreadPoolExecutor(8) as callers:
        return Counter(callers.map(ask, range(NUM_CALLS)))


def test_several_hosts_admit_what_one_would(redis: RedisServer, tmp_path: Path) -> None:
    with service(redis, tmp_path, "day") as url:
        assert statuses_of_calls(url) == {200: LIMIT, 429: NUM_CALLS - LIMIT}


@pytest.mark.skipif(not EVERY_POINT, reason="what it admits depends on how long the calls take")
def test_several_hosts_admit_one_more_for_each_second_of_a_minute(redis: RedisServer, tmp_path: Path) -> None:
    with service(redis, tmp_path, "minute") as url:
        began_at = time.monotonic()
        statuses = statuses_of_calls(url)
        seconds = time.monotonic() - began_at
    print(f"{dict(statuses)} in {seconds:.1f} s")  # noqa: T201 - what `make soak` is read for
    assert set(statuses) == {200, 429}
    assert LIMIT <= statuses[200] <= LIMIT + 1 + seconds
