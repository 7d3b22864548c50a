"""A gateway below a prefix, behind a proxy that takes it away and behind one that leaves it: both find what is at /."""

import re

import httpx
import pytest

from adapter.gateway import create_app
from adapter.http.route_path import RootPathTaken
from adapter.schema import GenerationResponse
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.gateway_calls import BODY, events_of
from tests.fakes import FakeInference, FakeManagement

PREFIX = "/llm"
KEY, OPERATOR_KEY = "canary-0123456789-abc", "canary-9876543210-xyz"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Once"}]}


def gateway(**settings: str) -> httpx.AsyncClient:
    chosen = Settings(root_path=PREFIX, **settings)  # type: ignore[arg-type]
    app = create_app(chosen, inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.fixture(params=["", PREFIX], ids=["a proxy that takes it away", "a proxy that leaves it"])
def sent(request: pytest.FixtureRequest) -> str:
    """What is left of the prefix."""
    return str(request.param)


async def test_every_kind_of_route_is_below_it(sent: str) -> None:
    client = gateway()
    assert GenerationResponse.model_validate_json((await client.post(f"{sent}/generate", json=BODY)).content).text
    assert events_of(await client.post(f"{sent}/generate/stream", json=BODY))[-1] == "done"
    assert (await client.post(f"{sent}/v1/chat/completions", json=CHAT)).json()["object"] == "chat.completion"
    assert (await client.get(f"{sent}/v1/models/tiny")).json()["id"] == "tiny"
    assert (await client.get(f"{sent}/models/tiny")).json()["name"] == "tiny"
    assert (await client.head(f"{sent}/livez")).status_code == 200


async def test_what_is_not_there_is_not_there(sent: str) -> None:
    client = gateway()
    assert [(await client.get(f"{sent}{path}")).status_code for path in ("/nothing", "/livez/", "x/livez")] == [404] * 3
    assert (await client.get(f"{PREFIX}{PREFIX}/livez")).status_code == 404


async def test_openais_clients_find_their_error_below_it(sent: str) -> None:
    assert (await gateway().get(f"{sent}/v1/nothing")).json()["error"]["code"] == "not_found"


async def test_requests_are_counted_by_their_routes(sent: str) -> None:
    client = gateway()
    await client.get(f"{sent}/models/tiny")
    assert 'method="GET",route="/models/{name}",status="200"' in (await client.get(f"{sent}/metrics")).text


async def test_the_document_says_where_it_is(sent: str) -> None:
    document = (await gateway().get(f"{sent}/openapi.json")).json()
    assert document["servers"] == [{"url": PREFIX}]
    assert "/generate" in document["paths"]


async def test_the_page_of_the_docs_loads_from_below_it(sent: str) -> None:
    client = gateway()
    loaded = re.findall(r"""(?:src=|href=|url: )["']([^"']+)""", (await client.get(f"{sent}/docs")).text)
    assert loaded
    assert all(address.startswith(f"{PREFIX}/") for address in loaded)
    assert {(await client.get(address)).status_code for address in loaded} == {200}


@pytest.mark.parametrize("path", ["/", PREFIX, f"{PREFIX}/"])
async def test_the_bare_address_leads_to_the_docs_below_it(path: str) -> None:
    answer = await gateway(api_keys=KEY).get(path)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{PREFIX}/docs")


@pytest.mark.parametrize("key", [None, KEY])
async def test_no_way_of_writing_it_opens_the_metrics(key: str | None) -> None:
    client = gateway(api_keys=KEY, operator_keys=OPERATOR_KEY)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    ways = ("/metrics", f"{PREFIX}/metrics", f"{PREFIX}{PREFIX}/metrics", "/%6dlm/../metrics", f"{PREFIX}//metrics")
    answers = [await client.get(way, headers=headers) for way in ways]
    assert all(answer.status_code in {401, 403, 404} for answer in answers)


async def test_what_is_open_stays_open_and_the_rest_needs_a_key(sent: str) -> None:
    client = gateway(api_keys=KEY)
    paths = ("/livez", "/docs", "/openapi.json", "/models", "/metrics")
    assert [(await client.get(f"{sent}{path}")).status_code for path in paths] == [200, 200, 200, 401, 401]
    assert (await client.post(f"{sent}/generate", json=BODY)).status_code == 401


@pytest.mark.parametrize("path", ["/v1", "/models/llm", "/docs", "/chat"])
def test_a_prefix_that_could_be_a_route_is_refused(path: str) -> None:
    with pytest.raises(RootPathTaken, match=f"TORCHBRIDGE_ROOT_PATH cannot be {path}: the gateway itself has /"):
        create_app(Settings(root_path=path))
