import httpx
import pytest

from adapter.errors import GenerationFailed, UpstreamUnavailable
from tests.fakes import FakeInference, FakeManagement


async def test_lists_the_models(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models")).json() == {
        "models": [
            {
                "name": "tiny",
                "default_version": "1.0",
                "versions": [
                    {
                        "version": "1.0",
                        "is_default": True,
                        "ready_workers": 1,
                        "sampling_defaults": {
                            "temperature": 1.0,
                            "top_p": None,
                            "top_k": None,
                            "repetition_penalty": None,
                        },
                    }
                ],
            }
        ]
    }


async def test_describes_one_model(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models/tiny")).json()["default_version"] == "1.0"


@pytest.mark.parametrize("name", ["nobody", "%2E%2E", "a%0Ab", "token"])
async def test_an_unknown_model_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/models/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


async def test_lives_without_torchserve(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.failure = UpstreamUnavailable("down")
    assert (await client.get("/livez")).json() == {"status": "ok"}


async def test_is_ready_with_a_ready_worker(client: httpx.AsyncClient) -> None:
    assert (await client.get("/readyz")).status_code == 200


async def test_what_is_generated_to_see_whether_it_is_ready_counts_nowhere(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    before = await generations_of(client)
    assert (await client.get("/readyz")).status_code == 200
    assert len(inference.requests) == 1
    assert await generations_of(client) == before


async def generations_of(client: httpx.AsyncClient) -> list[str]:
    """What is counted, but for all HTTP, and for the workers, of which the gateway hears when it asks TorchServe."""
    lines = (await client.get("/metrics")).text.splitlines()
    counts = [each for each in lines if each.startswith("torchbridge_") and ("_total" in each or "_count" in each)]
    return [each for each in counts if not each.startswith(("torchbridge_http_", "torchbridge_worker_"))]


async def test_a_model_that_fails_is_not_ready_whatever_torchserve_says_of_its_workers(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [GenerationFailed("no")]
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "model_not_ready")


async def test_is_not_ready_while_no_worker_is(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.served["tiny"]["1.0"] = 0
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "model_not_ready")


@pytest.mark.parametrize(
    "served", [{"a-name": {"1.0": 0}}, {"a-name": {"1.0": 0}, "another-name": {"1.0": 0}}], ids=str
)
async def test_whoever_asks_whether_it_is_ready_learns_no_names(
    client: httpx.AsyncClient, management: FakeManagement, served: dict[str, dict[str, int]]
) -> None:
    management.served = served
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "name" not in answer.text


async def test_is_not_ready_without_torchserve(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.failure = UpstreamUnavailable("down")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
