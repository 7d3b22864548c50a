"""One service of several hosts behind the real HAProxy with a real Redis: what is lost when they fail or are changed.

Each host is a real TorchServe. `make soak` has four of them with models/tiny, 2,000 calls and all tests; else there are
two hosts with a light model and the first test.
"""

import os
import secrets
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from adapter.client import GatewayClient
from adapter.client.errors import StreamTruncated
from adapter.errors import GenerationFailed, ShuttingDown
from adapter.schema import DoneEvent
from tests.end_to_end.load_balancer.haproxy import CHECK_SECONDS, FALL, HAProxy, haproxy_program, running_haproxy
from tests.end_to_end.load_balancer.hosts import PROGRAM, RunningHost, running_hosts
from tests.end_to_end.load_balancer.tiny_archives import TinyArchives
from tests.end_to_end.versions.light_archives import LightArchives
from tests.end_to_end.versions.test_canary import FAILS
from tests.free_ports import free_ports
from tests.redis_server import BINARY, RedisServer
from tests.waiting import PATIENCE, PATIENCE_WITH_WORKERS, wait_until

EVERY_POINT = bool(os.environ.get("TORCHBRIDGE_TEST_EVERY_POINT"))
NUM_HOSTS, NUM_CALLS = (4, 2_000) if EVERY_POINT else (2, 200)
FROZEN_SECONDS = 30
# In CI a machine that stalls makes a host look unready for a moment, and all of them at once.
CHECKS = {"fall": FALL, "check_seconds": CHECK_SECONDS} if EVERY_POINT else {"fall": 20}
NUM_COUNTED = 20  # calls of one host, of which the other hosts are to know
NUM_CALLERS = 8 if EVERY_POINT else 2  # and as many that stream
PAUSE = 0.0 if EVERY_POINT else 0.05  # seconds before a caller asks again: the hosts need the cores
KEY = secrets.token_hex(12)

pytestmark = [
    pytest.mark.torchserve,
    pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it"),
    pytest.mark.skipif(BINARY is None, reason="there is no Redis"),
]

in_soak = pytest.mark.skipif(not EVERY_POINT, reason="it takes minutes")


@dataclass
class Service:
    hosts: list[RunningHost]
    haproxy: HAProxy
    redis: RedisServer
    archives: LightArchives
    directory: Path

    @property
    def url(self) -> str:
        return self.haproxy.url

    def roll_out(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("rollout", *arguments, "--journal", str(self.directory / "rollout.jsonl"))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"TORCHBRIDGE_ROLLOUT_KEY": KEY}
        return subprocess.run(
            [PROGRAM, *arguments], capture_output=True, text=True, env=environment, check=False, timeout=600
        )

    @property
    def names(self) -> str:
        return ",".join(host.name for host in self.hosts)

    def models_yaml(self, default: str, *versions: str, handler: str | None = None) -> Path:
        """`handler` is that of the last version."""
        lines = [f'models:\n  {self.archives.name}:\n    default: "{default}"\n    versions:']
        for version in versions:
            changed = {"handler": handler} if handler and version == versions[-1] else {}
            lines.append(f'      "{version}": {{archive: {self.archives.make(version, **changed)}}}')
        path = self.directory / "models.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def default_versions(self) -> set[str]:
        return {
            requests.get(f"http://{host.name}/models", timeout=PATIENCE).json()["models"][0]["default_version"]
            for host in self.hosts
        }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    archives = TinyArchives(directory / "archives", "tiny") if EVERY_POINT else LightArchives(directory / "archives")
    arguments = ["--model", str(archives.make("1.0")), "--key", str(archives.public_key)]
    redis = RedisServer(directory, secrets.token_hex(8))
    environment = {
        "TORCHBRIDGE_ROLLOUT_KEYS": f"ci:{KEY}",
        "TORCHBRIDGE_REDIS_URL": redis.url,
        "TORCHBRIDGE_SHUTDOWN_DELAY": "3600",  # until the balancer has seen it, however long that takes
        "TORCHBRIDGE_CACHE_MAX_AGE": "0",
    }
    port, statistics_port = free_ports(2)
    try:
        with (
            running_hosts(directory, NUM_HOSTS, arguments, environment) as hosts,
            running_haproxy(
                directory, [host.port for host in hosts], ports=(port, statistics_port), **CHECKS
            ) as haproxy,
        ):
            yield Service(hosts, haproxy, redis, archives, directory)
    finally:
        redis.kill()


@dataclass
class Calls:
    """Unary calls, of which none may fail, and streams, which may end early where an event or the client says so."""

    url: str
    num_answers: int = 0
    failures: list[Exception] = field(default_factory=list)
    streams: Counter[str] = field(default_factory=Counter)
    versions: set[str] = field(default_factory=set)
    _is_over: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, num_answers: int) -> None:
        wait_until(lambda: self.num_answers >= num_answers, PATIENCE_WITH_WORKERS)

    def ask(self) -> None:
        client = GatewayClient(self.url, max_retries=0, trust_env=False)
        while not self._is_over.wait(PAUSE):
            try:
                self.versions.add(client.generate_text(prompt="Once", max_length=4).model_version)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
                self.failures.append(error)
            self.num_answers += 1

    def stream(self) -> None:
        client = GatewayClient(self.url, max_retries=0, trust_env=False)
        while not self._is_over.wait(PAUSE):
            try:
                with client.stream_text(prompt="Once", max_length=100) as events:
                    *_, last = events
                self.streams["done" if isinstance(last, DoneEvent) else "without an end"] += 1
            except StreamTruncated:
                self.streams["truncated"] += 1
            except ShuttingDown:  # of the host that was told to stop: an event
                self.streams["told"] += 1
            except Exception as error:  # noqa: BLE001 - as above
                self.streams[repr(error)] += 1

    def end(self) -> None:
        self._is_over.set()

    def __str__(self) -> str:
        return f"{self.num_answers} calls, {len(self.failures)} failed; streams: {dict(self.streams)}"


@contextmanager
def calling(url: str) -> Iterator[Calls]:
    calls = Calls(url)
    threads = [threading.Thread(target=work) for work in (calls.ask, calls.stream) for _ in range(NUM_CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield calls
    finally:
        calls.end()
        for thread in threads:
            thread.join()


def test_a_rollout_and_its_abort_cost_nobody_anything(service: Service) -> None:
    new = service.models_yaml("2.0", "2.0")
    with calling(service.url) as calls:
        calls.wait_for(NUM_CALLS // 10)
        done = service.roll_out(str(new), "--hosts", service.names)
        assert done.returncode == 0, done.stderr
        assert service.default_versions() == {"2.0"}
        calls.wait_for(calls.num_answers + NUM_CALLS // 10)
        back = service.roll_out("abort")
        assert back.returncode == 0, back.stderr
        calls.wait_for(calls.num_answers + NUM_CALLS // 10)
    print(calls)  # noqa: T201 - as below
    assert service.default_versions() == {"1.0"}
    assert (calls.failures, calls.versions) == ([], {"1.0", "2.0"})
    assert set(calls.streams) == {"done"}


@in_soak
def test_a_canary_that_is_worse_is_given_up_on_all_hosts_by_the_counts_of_all(service: Service) -> None:
    beside = service.models_yaml("1.0", "1.0", "3.0", handler=FAILS)
    done = service.roll_out(str(beside), "--hosts", service.names)
    assert done.returncode == 0, done.stderr
    directories = [("--run-directory", str(host.run_directory)) for host in service.hosts]
    for directory in directories:
        begun = service.run("canary", "3.0", "--percent", "30", "--no-wait", *directory)
        assert begun.returncode == 0, begun.stderr
    first, *_, last = service.hosts
    for _ in range(NUM_COUNTED):
        body = {"prompt": "Twice", "max_length": 4}  # with which the canary does not fail
        assert requests.post(f"http://{first.name}/generate", json=body, timeout=PATIENCE).ok
    wait_until(lambda: _counted(_verdict(last)) >= NUM_COUNTED)
    assert (_verdict(last)["scope"], _verdict(last)["gateways"]) == ("service", NUM_HOSTS)
    with calling(service.url) as calls:
        wait_until(lambda: all("given up" in service.run("canary", "status", *each).stdout for each in directories))
        since = len(calls.failures)
        calls.wait_for(calls.num_answers + NUM_CALLS // 10)
    print(calls)  # noqa: T201 - as below
    assert all(isinstance(failure, GenerationFailed) for failure in calls.failures)
    assert len(calls.failures) - since <= NUM_CALLERS  # those that ran when it ended
    assert service.default_versions() == {"1.0"}
    assert service.roll_out("abort").returncode == 0


def _verdict(host: RunningHost) -> dict[str, Any]:
    verdict: dict[str, Any] = requests.get(f"http://{host.name}/canary/verdict", timeout=PATIENCE).json()
    return verdict


def _counted(verdict: dict[str, Any]) -> int:
    return sum(int(verdict[side]["requests"]) for side in ("canary", "control"))


@in_soak
def test_no_call_fails_whatever_becomes_of_a_host_or_of_redis(service: Service) -> None:
    """Last here: afterwards hosts are missing."""
    killed, _, frozen, *_ = service.hosts
    faults: tuple[Callable[[], object], ...] = (
        service.redis.kill,
        lambda: _freeze_for_a_while(frozen),
        killed.kill,
        lambda: _drain(service, 1),
    )
    with calling(service.url) as calls:
        for fault in faults:
            calls.wait_for(calls.num_answers + NUM_CALLS // 10)
            fault()
            calls.wait_for(calls.num_answers + NUM_CALLS // 10)
        calls.wait_for(NUM_CALLS)
    print(calls)  # noqa: T201 - what `make soak` is read for
    assert calls.failures == []
    assert set(calls.streams) <= {"done", "truncated", "told"}


def _drain(service: Service, number: int) -> None:
    host = service.hosts[number]
    host.drain()
    wait_until(lambda: not service.haproxy.is_up(f"gateway-{number}"))
    host.drain()  # a second time: wait no longer
    host.process.wait(PATIENCE_WITH_WORKERS)


def _freeze_for_a_while(host: RunningHost) -> None:
    host.freeze()
    time.sleep(FROZEN_SECONDS)  # it is this long that it is to be frozen
    host.thaw()
