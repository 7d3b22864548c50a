"""With keys set, no address of the gateway can be reached without one but the open ones."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from adapter.gateway import create_app
from adapter.http.authentication import OPEN_PATHS
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

KEY = "canary-0123456789-abc"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
NOWHERE = ("/nothing", "/generate/", "/livez/", "/LIVEZ", "/docs/", "/docs/assets/", "/docs/assets/redoc.js")


@pytest.fixture
def gateway(tmp_path: Path) -> FastAPI:
    settings = Settings(api_keys=f"web:{KEY}", batch_directory=tmp_path / "batches")
    return create_app(settings, inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))


def routed(routes: Iterable[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if included := getattr(route, "original_router", None):
            yield from routed(included.routes)
        else:
            yield route.path


def paths_of(app: FastAPI) -> set[str]:
    templates = {*routed(app.routes), *app.openapi()["paths"], *OPEN_PATHS, *NOWHERE}
    return {re.sub(r"{[^}]*}", "tiny", template) for template in templates}


async def test_every_address_and_method_needs_a_key_but_the_open_ones(gateway: FastAPI) -> None:
    paths = paths_of(gateway)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://gateway") as client:
        answers = {
            (method, path): (await client.request(method, path)).status_code for method in METHODS for path in paths
        }
    let_in = {request for request, status in answers.items() if status != 401}

    assert {"/generate", "/generate/stream", "/models/tiny", "/v1/chat/completions", "/docs/assets/tiny"} <= paths
    assert {"/v1/files", "/v1/files/tiny/content", "/v1/batches", "/v1/batches/tiny/cancel"} <= paths
    asked = {("OPTIONS", path) for path in paths}
    assert let_in == asked | {(method, path) for method in ("GET", "HEAD") for path in OPEN_PATHS}
    assert {answers[question] for question in asked} == {204, 404}


async def test_with_a_key_the_same_addresses_answer_as_ever(gateway: FastAPI) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(gateway), base_url="http://gateway", headers={"authorization": f"Bearer {KEY}"}
    ) as client:
        statuses = [(await client.get(path)).status_code for path in ("/models", "/generate", "/nothing")]
    assert statuses == [200, 405, 404]


async def test_all_that_the_docs_page_loads_is_open(gateway: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://gateway") as client:
        page = (await client.get("/docs")).text
        loaded = set(re.findall(r"""(?:href=|src=|url: )["']([^"']+)""", page))
        statuses = {path: (await client.get(path)).status_code for path in loaded}
    assert "/openapi.json" in loaded
    assert set(statuses.values()) == {200}
