import httpx
import pytest

from adapter.errors import ShuttingDown
from adapter.gateway import create_app
from adapter.http.shutdown import Shutdown
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.gateway_calls import BODY
from tests.fakes import FakeInference, FakeManagement


def test_a_server_that_goes_on_takes_requests() -> None:
    Shutdown().check()


async def test_a_server_that_ends_does_not() -> None:
    shutdown = Shutdown()
    shutdown.begin(grace=60)
    with pytest.raises(ShuttingDown):
        shutdown.check()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/generate"), ("POST", "/generate/stream"), ("GET", "/readyz")], ids=str
)
async def test_from_the_beginning_of_the_end_on_the_gateway_takes_nothing_new(
    inference: FakeInference, management: FakeManagement, method: str, path: str
) -> None:
    app = create_app(Settings(), inference=inference, registry=ModelRegistry(management, None))
    app.state.shutdown.begin(grace=60)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.request(method, path, json=BODY if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
        assert (await client.get("/livez")).status_code == 200
    assert not inference.requests
