from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from adapter.errors import ShuttingDown
from adapter.gateway import create_app
from adapter.http.shutdown import Shutdown
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.gateway_calls import BODY
from tests.fakes import FakeInference, FakeManagement


def test_a_server_that_goes_on_takes_requests() -> None:
    Shutdown().check()


async def test_a_server_that_ends_says_so() -> None:
    shutdown = Shutdown()
    shutdown.begin()
    with pytest.raises(ShuttingDown):
        shutdown.check()


@pytest.fixture
def app(inference: FakeInference, management: FakeManagement) -> FastAPI:
    return create_app(Settings(), inference=inference, registry=ModelRegistry(management, None))


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


async def test_from_the_beginning_of_the_end_on_the_gateway_is_not_ready_and_serves_what_comes(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    app.state.shutdown.begin()
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
    assert (await client.get("/livez")).status_code == 200
    assert (await client.post("/generate", json=BODY)).status_code == 200


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_what_comes_after_the_end_is_told_so(app: FastAPI, client: httpx.AsyncClient, path: str) -> None:
    app.state.shutdown.begin()
    app.state.shutdown.end()
    answer = await client.post(path, json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
