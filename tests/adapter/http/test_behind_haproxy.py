"""A real proxy in front, which takes the prefix away or leaves it, and says who calls."""

import logging
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.gateway_calls import BODY, events_of
from tests.end_to_end.load_balancer.haproxy import haproxy_program
from tests.fakes import FakeInference, FakeManagement, serving
from tests.free_ports import free_ports
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it")

CALLER = "127.0.0.9"  # on Linux each address of 127.0.0.0/8 is this machine's; the proxy's own is 127.0.0.1
CONFIG = """\
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    option forwardfor
    default_backend gateway
frontend leaves
    bind 127.0.0.1:{leaves}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto https
frontend takes
    bind 127.0.0.1:{takes}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto https
    http-request set-header Host upstream
    http-request replace-path /llm(/.*)? \\1
backend gateway
    server gateway {gateway}
"""


class Proxy(NamedTuple):
    leaves: int
    takes: int


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    settings = Settings(root_path="/llm", trusted_proxies="127.0.0.1")
    registry = ModelRegistry(FakeManagement(), None)
    app = create_app(settings, inference=FakeInference(), registry=registry, host_names=("app.example.com",))
    program, ports = haproxy_program(), Proxy(*free_ports(2))
    assert program is not None
    with serving(app) as address:
        config: Path = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
        config.write_text(CONFIG.format(**ports._asdict(), gateway=address.removeprefix("http://")))
        with subprocess.Popen([program, "-db", "-f", str(config)]) as process:
            wait_until(lambda: all(answers(port) for port in ports))
            yield ports
            process.kill()


def answers(port: int) -> bool:
    with suppress(httpx.ConnectError):
        return httpx.get(f"http://127.0.0.1:{port}/llm/livez", timeout=PATIENCE).is_success
    return False


@pytest.fixture(params=Proxy._fields)
def client(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[httpx.Client]:
    port = getattr(proxy, request.param)
    transport = httpx.HTTPTransport(local_address=CALLER)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/llm", transport=transport, timeout=PATIENCE) as client:
        client.headers["host"] = "app.example.com"
        yield client


def test_it_generates_below_the_prefix(client: httpx.Client) -> None:
    assert client.post("/generate", json=BODY).json()["text"]
    assert events_of(client.post("/generate/stream", json=BODY))[-1] == "done"
    assert client.get("/v1/models").json()["object"] == "list"
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/llm"}]


def test_another_name_than_its_own_is_refused(client: httpx.Client) -> None:
    assert client.get("/livez", headers={"host": "evil.example"}).status_code == 403


def test_the_log_has_the_caller_whatever_it_says_of_itself(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter.http.request_envelope")
    client.get("/livez", headers={"x-forwarded-for": "203.0.113.7", "x-request-id": "abc"})
    wait_until(lambda: lines_of("abc", caplog) != [])  # that of a call before may come later than its answer
    [line] = lines_of("abc", caplog)
    assert line.startswith(f"abc anonymous {CALLER} GET ")


def lines_of(request_id: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if line.startswith(f"{request_id} ")]
