"""Gateways that are stopped and started again behind a load balancer, while callers ask: none of them may notice."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from adapter.settings import Settings
from tests.end_to_end.load_balancer.callers import ANSWERED, NUM_CALLERS, calling_once_each
from tests.end_to_end.load_balancer.haproxy import READINESS, haproxy_program, running_haproxy
from tests.end_to_end.own_stack import running_torchserve, settings_before
from tests.end_to_end.serve_command import LIGHT_TORCHBRIDGE
from tests.end_to_end.versions.light_archives import LightArchives
from tests.end_to_end.versions.light_command import light_workers
from tests.free_ports import free_ports, write_torchserve_config
from tests.processes import processes_of
from tests.waiting import PATIENCE, wait_until

GATEWAY = Path(__file__).with_name("gateway_process.py")
EVERY_POINT = bool(os.environ.get("TORCHBRIDGE_TEST_EVERY_POINT"))
NUM_RESTARTS = 10 if EVERY_POINT else 1
# The test after it has the other one every day.
CHECKS = {"its default": ""} | ({"whether it is ready": READINESS} if EVERY_POINT else {})
LONG = 3_600  # seconds: longer than any test

pytestmark = [
    pytest.mark.torchserve,
    pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it"),
]

Start = Callable[[int], subprocess.Popen[bytes]]


@pytest.fixture
def ports() -> list[int]:
    """Of two gateways, the balancer and its statistics."""
    return free_ports(4)


@pytest.fixture(scope="module")
def gateway_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Over a TorchServe with a light model."""
    directory = tmp_path_factory.mktemp("light")
    archive = LightArchives(directory / "archives").make("1.0")
    with (
        light_workers(),
        running_torchserve([archive], directory / "run") as torchserve,
    ):
        yield settings_before(torchserve, [archive], "light")


@pytest.fixture
def start(gateway_settings: Settings) -> Iterator[Start]:
    """A gateway at a port."""
    named = {f"TORCHBRIDGE_{name}".upper(): str(value) for name, value in gateway_settings if value}
    with ExitStack() as until_the_end:

        def started(port: int) -> subprocess.Popen[bytes]:
            environment = os.environ | named | {"TORCHBRIDGE_PORT": str(port)}
            environment |= {"PYTHONPATH": str(Path.cwd())}
            process = until_the_end.enter_context(subprocess.Popen([sys.executable, str(GATEWAY)], env=environment))
            until_the_end.callback(process.kill)
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
            return process

        yield started


def answers(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(url, timeout=PATIENCE).ok
    return False


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_one_of_two_gateways_is_stopped_and_started_again(
    start: Start, ports: list[int], tmp_path: Path, check: str
) -> None:
    gateways = [start(port) for port in ports[:2]]
    with (
        running_haproxy(tmp_path, ports[:2], ports=(ports[2], ports[3]), check=check) as haproxy,
        calling_once_each(haproxy.url) as callers,
    ):
        for number in range(NUM_RESTARTS):
            callers.wait_for_more(2 * NUM_CALLERS)
            index = number % 2
            gateways[index].terminate()
            assert gateways[index].wait(PATIENCE) == -signal.SIGTERM
            callers.wait_for_more(2 * NUM_CALLERS)
            gateways[index] = start(ports[index])
            wait_until(lambda index=index: haproxy.is_up(f"gateway-{index}"))
    print(dict(callers.outcomes))  # noqa: T201 - what `make soak` is read for
    assert set(callers.outcomes) == {ANSWERED}


def test_a_gateway_that_is_to_stop_serves_until_the_balancer_has_seen_it(
    start: Start, ports: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_SHUTDOWN_DELAY", str(LONG))
    gateway, _ = [start(port) for port in ports[:2]]
    with (
        running_haproxy(tmp_path, ports[:2], ports=(ports[2], ports[3])) as haproxy,
        calling_once_each(haproxy.url) as callers,
    ):
        callers.wait_for_more(NUM_CALLERS)
        gateway.terminate()
        wait_until(lambda: not haproxy.is_up("gateway-0"))
        assert requests.post(f"http://127.0.0.1:{ports[0]}/generate", json={"prompt": "Once"}, timeout=PATIENCE).ok
        callers.wait_for_more(NUM_CALLERS)
        gateway.terminate()  # a second time: wait no longer
        assert gateway.wait(PATIENCE) == -signal.SIGTERM
    assert set(callers.outcomes) == {ANSWERED}


@contextmanager
def serving(directory: Path, config: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [*LIGHT_TORCHBRIDGE, "serve", "--port", str(port)]
    command += ["--run-directory", str(directory / "run"), "--torchserve-config", str(config)]
    archives = LightArchives(directory / "archives")
    command += ["--model", str(archives.make("1.0")), "--key", str(archives.public_key)]
    with (
        (directory / "stderr").open("a") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=directory) as process,
    ):
        try:
            assert process.stdout is not None
            assert any("curl" in line for line in process.stdout)
            yield process
        finally:
            process.kill()


def test_the_whole_stack_is_stopped_and_started_again_while_callers_wait_in_the_balancer(
    ports: list[int], tmp_path: Path
) -> None:
    config = write_torchserve_config(tmp_path / "config.properties")
    with ExitStack() as until_the_end:
        process = until_the_end.enter_context(serving(tmp_path, config, ports[0]))
        # There is no other one: it is not to be given up, and a call is tried each second until it is there again.
        haproxy = until_the_end.enter_context(
            running_haproxy(tmp_path, ports[:1], ports=(ports[2], ports[3]), check="", retries=600, fall=1_000_000)
        )
        with calling_once_each(haproxy.url) as callers:
            callers.wait_for_more(2 * NUM_CALLERS)
            process.terminate()
            assert process.wait(PATIENCE) == 0
            assert processes_of(tmp_path / "run") == []
            until_the_end.enter_context(serving(tmp_path, config, ports[0]))
            callers.wait_for_more(2 * NUM_CALLERS)
    assert set(callers.outcomes) == {ANSWERED}
    assert not re.search(r"ERROR|Traceback", (tmp_path / "stderr").read_text())
