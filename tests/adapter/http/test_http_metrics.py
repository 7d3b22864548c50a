"""What /metrics says of requests, be they answered or refused, and wherever they are refused."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from adapter.gateway import create_app
from adapter.http.route_templates import RouteTemplates
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.gateway_calls import BODY, wait_for_ever
from tests.adapter.http.raw_http import raw_answer
from tests.fakes import FakeInference, FakeManagement, serving
from tests.waiting import PATIENCE, wait_until

KEY, OPERATOR_KEY = "canary-0123456789-abc", "canary-9876543210-xyz"
HEAD_OF_GENERATE = b"POST /generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
REQUESTS = "torchbridge_http_requests_total"


@pytest.fixture
def app(inference: FakeInference, management: FakeManagement) -> FastAPI:
    return create_app(
        Settings(max_body_bytes=1_000), inference=inference, registry=ModelRegistry(management, default_model=None)
    )


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with serving(app, app.state.http_metrics) as address:
        yield address


def series(method: str, route: str, status: int) -> str:
    return f'{REQUESTS}{{method="{method}",route="{route}",status="{status}"}}'


def values(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def seen(address: str) -> dict[str, float]:
    return values(httpx.get(f"{address}/metrics").text)


@pytest.mark.parametrize(
    ("method", "path", "request_", "counted"),
    [
        ("POST", "/generate", {"json": BODY}, ("POST", "/generate", 200)),
        ("POST", "/generate/stream", {"json": BODY}, ("POST", "/generate/stream", 200)),
        ("GET", "/models/tiny", {}, ("GET", "/models/{name}", 200)),
        ("GET", "/models/nobody", {}, ("GET", "/models/{name}", 404)),
        ("GET", "/v1/models/a/b", {}, ("GET", "/v1/models/{model_id:path}", 404)),
        ("HEAD", "/livez", {}, ("HEAD", "/livez", 200)),
        ("GET", "/nobody", {}, ("GET", "unknown", 404)),
        ("BREW", "/livez", {}, ("unknown", "/livez", 405)),
        ("POST", "/generate", {"json": {}}, ("POST", "/generate", 422)),
        ("POST", "/generate", {"content": b"x" * 2_000}, ("POST", "/generate", 413)),
        ("POST", "/generate", {"content": b"x"}, ("POST", "/generate", 415)),
        ("GET", f"/nobody{'x' * 9_000}", {}, ("GET", "unknown", 414)),
    ],
)
async def test_a_request_is_counted_by_the_route_that_it_meant_and_its_status(
    client: httpx.AsyncClient, method: str, path: str, request_: dict[str, Any], counted: tuple[str, str, int]
) -> None:
    if "content" in request_ and len(request_["content"]) > 1_000:
        request_ = request_ | {"headers": {"content-type": "application/json"}}
    await client.request(method, path, **request_)
    text = (await client.get("/metrics")).text
    assert values(text)[series(*counted)] == 1
    assert "nobody" not in text


async def test_a_request_without_a_key_is_counted_by_its_route(management: FakeManagement) -> None:
    settings = Settings(api_keys=KEY, operator_keys=OPERATOR_KEY)
    app = create_app(settings, inference=FakeInference(), registry=ModelRegistry(management, None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        await client.post("/generate", json=BODY)
        answer = await client.get("/metrics", headers={"authorization": f"Bearer {OPERATOR_KEY}"})
    assert values(answer.text)[series("POST", "/generate", 401)] == 1


def test_a_caller_that_left_is_counted(address: str, inference: FakeInference) -> None:
    inference.script = [wait_for_ever]
    url = httpx.URL(address)
    with socket.create_connection((url.host, url.port), timeout=PATIENCE) as connection:
        connection.sendall(HEAD_OF_GENERATE + b'content-length: 18\r\n\r\n{"prompt": "Once"}')
        wait_until(lambda: bool(inference.requests))
    wait_until(lambda: seen(address).get(series("POST", "/generate", 499)) == 1)


@pytest.mark.parametrize(
    ("request_bytes", "counted"),
    [
        (b"hello\r\n\r\n", ("unknown", "unknown", 400)),
        (b"GET /livez HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 70_000 + b"\r\n\r\n", ("unknown", "unknown", 431)),
        (
            HEAD_OF_GENERATE + b"transfer-encoding: chunked\r\n\r\nno number\r\n",
            ("POST", "/generate", 400),
        ),
    ],
    ids=["no HTTP", "a head that is too long", "a body that is no HTTP"],
)
def test_what_is_refused_before_the_application_is_counted(
    address: str, request_bytes: bytes, counted: tuple[str, str, int]
) -> None:
    answer, _ = raw_answer(address, request_bytes)
    assert answer.status == counted[-1]
    wait_until(lambda: seen(address).get(series(*counted)) == 1)
    requests = {name: value for name, value in seen(address).items() if name.startswith(REQUESTS)}
    assert set(requests) == {series(*counted), series("GET", "/metrics", 200)}


def test_a_request_for_another_protocol_is_counted_and_answered(address: str) -> None:
    head = b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    assert raw_answer(address, head)[0].status == 200
    assert seen(address)["torchbridge_http_upgrade_requests_total"] == 1


def test_open_connections_are_counted_as_long_as_they_are_open(address: str) -> None:
    with httpx.Client(base_url=address) as kept:
        kept.get("/livez")
        wait_until(lambda: seen(address)["torchbridge_open_connections"] == 2)  # with the one that asks
    wait_until(lambda: seen(address)["torchbridge_open_connections"] == 1)


async def test_the_process_and_what_it_is_made_of_are_told(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    told = {name.partition("{")[0] for name in values(text)}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= told
    assert {"python_info", "torchbridge_build_info", "python_gc_collections_total"} <= told
    build = next(line for line in text.splitlines() if line.startswith("torchbridge_build_info{"))
    assert {"python=", "torch=", "torchserve=", "version="} <= {
        part[: part.index("=") + 1] for part in build[23:].split(",")
    }


async def test_the_last_answer_has_its_time(client: httpx.AsyncClient) -> None:
    name = "torchbridge_last_answer_timestamp_seconds"
    assert values((await client.get("/metrics")).text)[name] == 0
    await client.post("/generate", json=BODY)
    told = values((await client.get("/metrics")).text)
    assert told[name] >= told["process_start_time_seconds"]


def test_an_address_without_a_route_has_none() -> None:
    templates = RouteTemplates({"/models", "/models/{name}"})
    paths = ("/models", "/models/a", "/models/a/b", "/models/", "/")
    assert [templates.of(path) for path in paths] == ["/models", "/models/{name}", "unknown", "unknown", "unknown"]
