"""What the balancers of deploy/ do with requests. How gateways come and go is in tests/end_to_end/load_balancer."""

import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from adapter.http.openai_problem import OpenAIProblem
from adapter.schema import ErrorCode, Problem
from tests.deploy.fake_gateways import NUM_EVENTS, REFUSAL, FakeGateway, fake_gateway
from tests.deploy.nginx import nginx_program, running_nginx
from tests.end_to_end.load_balancer.haproxy import CONFIG, haproxy_program, running_haproxy
from tests.free_ports import free_ports
from tests.project import PROJECT
from tests.waiting import PATIENCE, wait_until

Running = Callable[[Path, Sequence[int]], AbstractContextManager[str]]


@contextmanager
def haproxy(directory: Path, gateway_ports: Sequence[int]) -> Iterator[str]:
    port, statistics_port = free_ports(2)
    with running_haproxy(directory, gateway_ports, ports=(port, statistics_port)) as balancer:
        yield balancer.url


BALANCERS = {"haproxy": (haproxy_program, haproxy), "nginx": (nginx_program, running_nginx)}


@pytest.fixture
def running_gateways() -> Iterator[tuple[ExitStack, list[FakeGateway]]]:
    """With what ends them."""
    with ExitStack() as until_the_end:
        yield until_the_end, [until_the_end.enter_context(fake_gateway()) for _ in range(2)]


@pytest.fixture
def gateways(running_gateways: tuple[ExitStack, list[FakeGateway]]) -> list[FakeGateway]:
    return running_gateways[1]


@pytest.fixture(params=BALANCERS)
def url(request: pytest.FixtureRequest, gateways: list[FakeGateway], tmp_path: Path) -> Iterator[str]:
    program, running = BALANCERS[request.param]
    if program() is None:
        pytest.skip(f"there is no {request.param}, and only root can install it")
    with running(tmp_path, [gateway.port for gateway in gateways]) as address:
        yield address


def ask(url: str, prompt: str = "Once") -> requests.Response:
    return requests.post(f"{url}/generate", json={"prompt": prompt}, timeout=PATIENCE)


@pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it")
def test_haproxy_takes_the_lines_for_kubernetes(tmp_path: Path) -> None:
    [lines] = re.findall(r"```haproxy\n(.*?)```", (PROJECT / "deploy/README.md").read_text(), re.DOTALL)
    kept = [line for line in CONFIG.read_text().splitlines(keepends=True) if not line.startswith("    server ")]
    config = tmp_path / "haproxy.cfg"
    config.write_text("".join(kept) + lines)
    done = subprocess.run(
        [str(haproxy_program()), "-c", "-f", str(config)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_event_comes_before_the_next_one_is_there(url: str, gateways: list[FakeGateway]) -> None:
    with requests.post(f"{url}/generate/stream", json={}, timeout=PATIENCE, stream=True) as answer:
        events = (line for line in answer.iter_lines() if line)
        for number in range(NUM_EVENTS):
            assert next(events) == b"data: %d" % number
            for gateway in gateways:
                gateway.was_read.release()


@pytest.mark.parametrize("prompt", ["Once", "Once" * 10_000], ids=["a short prompt", "a long prompt"])
def test_what_one_gateway_refuses_another_one_answers(url: str, gateways: list[FakeGateway], prompt: str) -> None:
    gateways[0].refuses = True
    statuses = {ask(url, prompt).status_code for _ in range(20)}
    assert statuses == {200}
    assert gateways[0].num_refused > 0
    assert gateways[1].num_answered == 20


def test_what_all_refuse_is_refused_in_their_own_words(url: str, gateways: list[FakeGateway]) -> None:
    for gateway in gateways:
        gateway.refuses = True
    for _ in range(3):
        answer = ask(url)
        assert (answer.status_code, answer.json()) == (503, REFUSAL)


def test_that_no_gateway_is_there_is_said_as_a_gateway_would(
    url: str, running_gateways: tuple[ExitStack, list[FakeGateway]]
) -> None:
    running_gateways[0].close()
    answer = ask(url)
    problem = Problem.of(ErrorCode.UPSTREAM_UNAVAILABLE, "No gateway is there and ready.")
    assert answer.status_code == problem.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == str(problem.retry_after)
    assert OpenAIProblem.model_validate_json(answer.content) == OpenAIProblem.from_problem(problem)


def test_a_caller_that_leaves_before_the_answer_begins_is_gone_for_the_gateway(
    url: str, gateways: list[FakeGateway]
) -> None:
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=PATIENCE) as caller:
        caller.sendall(b"POST /never HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}")
        wait_until(lambda: any(gateway.has_begun.is_set() for gateway in gateways))
    wait_until(lambda: any(gateway.was_left.is_set() for gateway in gateways))


def test_who_calls_is_said_by_the_balancer_alone(url: str, gateways: list[FakeGateway]) -> None:
    lies = {"x-forwarded-for": "203.0.113.1", "x-forwarded-proto": "https", "x-forwarded-host": "evil.example.com"}
    body = {"prompt": "Once"}
    requests.post(f"{url}/generate", json=body, headers=lies | {"host": "llm.example.com"}, timeout=PATIENCE)
    [headers] = [gateway.headers for gateway in gateways if gateway.num_answered]
    assert headers.get_all("x-forwarded-for") == ["127.0.0.1"]
    assert headers.get_all("x-forwarded-proto") == ["http"]
    assert headers.get_all("x-forwarded-host") == ["llm.example.com"]
