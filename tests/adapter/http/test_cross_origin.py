"""What a browser is told of pages of other origins."""

from collections.abc import Iterable

import httpx
import pytest

from adapter.gateway import create_app
from adapter.http.request_envelope import RequestEnvelope
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

KEY = "canary-0123456789-abc"
ORIGIN = "http://localhost:3000"
OTHER_ORIGIN = "https://app.example.com"
PREFLIGHT = {"access-control-request-method": "POST"}
STRANGERS = (
    "http://evil-localhost:3000",
    "http://localhost:3000.evil.example",
    "http://localhost:3001",
    "http://localhost",
    "https://localhost:3000",
    "https://evil.app.example.com",
    "null",
    "*",
    "",
)


def gateway(origins: Iterable[str] = (ORIGIN, OTHER_ORIGIN)) -> httpx.AsyncClient:
    settings = Settings(cors_origins=",".join(origins), api_keys=KEY, max_body_bytes=1_000)
    app = create_app(settings, inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


@pytest.mark.parametrize("origin", [ORIGIN, OTHER_ORIGIN])
async def test_a_page_of_an_origin_that_is_set_may_ask_and_read(origin: str) -> None:
    async with gateway() as client:
        answer = await client.post(
            "/generate",
            json={"prompt": "Once"},
            headers={"origin": origin, "authorization": f"Bearer {KEY}"},
        )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert words(answer.headers["access-control-expose-headers"]) == {
        *("age", "cache-status", "retry-after", "server-timing", "x-request-id", "x-should-retry")
    }
    assert "origin" in words(answer.headers["vary"])
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    [
        "authorization,cache-control,content-type,x-first-token-timeout,x-request-id,x-request-timeout,x-user",
        "authorization,content-type,x-stainless-arch,x-stainless-helper-method,x-stainless-os,x-stainless-retry-count",
        "openai-organization,openai-project,traceparent,tracestate,baggage",
    ],
    ids=["ours", "openai", "tracing"],
)
async def test_a_preflight_needs_no_key_and_allows_the_headers_of_clients(asked: str) -> None:
    headers = {"origin": ORIGIN, "access-control-request-headers": asked} | PREFLIGHT
    async with gateway() as client:
        answer = await client.options("/generate", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert words(answer.headers["access-control-allow-headers"]) >= words(asked)
    assert words(answer.headers["access-control-allow-methods"]) == {"delete", "get", "head", "post"}
    assert "origin" in words(answer.headers["vary"])
    assert answer.headers["x-request-id"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_of_the_internet_may_ask_a_gateway_in_a_private_network() -> None:
    asked = {"origin": ORIGIN, "access-control-request-private-network": "true"} | PREFLIGHT
    async with gateway() as client:
        answer = await client.options("/generate", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-private-network"]) == (200, "true")


async def test_a_preflight_for_what_no_client_does_is_refused() -> None:
    async with gateway() as client:
        asked = {"origin": ORIGIN, "access-control-request-method": "PUT"}
        answer = await client.options("/generate", headers=asked)
    assert answer.status_code == 400


@pytest.mark.parametrize("origin", STRANGERS)
async def test_every_other_origin_is_told_nothing(origin: str) -> None:
    async with gateway() as client:
        preflight = await client.options("/generate", headers={"origin": origin} | PREFLIGHT)
        answer = await client.get("/livez", headers={"origin": origin})
    assert (preflight.status_code, answer.status_code) == (400, 200)
    for each in (preflight, answer):
        assert "access-control-allow-origin" not in each.headers
        assert "origin" in words(each.headers["vary"])


async def test_an_answer_to_no_page_says_that_another_may_differ() -> None:
    async with gateway() as client:
        answer = await client.get("/livez")
    assert words(answer.headers["vary"]) == {"origin"}


@pytest.mark.parametrize(
    ("path", "content", "key", "status"),
    [
        ("/generate", b"{}", "", 401),
        ("/nothing", b"{}", KEY, 404),
        ("/livez", b"{}", KEY, 405),
        ("/generate", b" " * 1_001, KEY, 413),
        ("/generate?" + "a" * 9_000, b"{}", KEY, 414),
        ("/generate", b"{}", KEY, 422),
        ("/generate", b"{}", KEY + "a" * 9_000, 431),
    ],
)
async def test_a_page_can_read_why_it_was_refused(path: str, content: bytes, key: str, status: int) -> None:
    headers = {"origin": ORIGIN, "content-type": "application/json", "authorization": f"Bearer {key}"}
    async with gateway() as client:
        answer = await client.post(path, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_a_page_can_read_that_the_gateway_failed() -> None:
    async def fail(*_: object) -> None:
        raise LookupError

    envelope = RequestEnvelope(fail, max_body_bytes=1_000, body_timeout=30, cors_origins=(ORIGIN,))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(envelope), base_url="http://gateway") as client:
        answer = await client.get("/", headers={"origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, ORIGIN)


async def test_what_load_balancers_ask_is_readable_by_a_page_too() -> None:
    async with gateway() as client:
        answer = await client.options("/livez", headers={"origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, ORIGIN)


async def test_without_the_setting_no_answer_speaks_of_origins() -> None:
    async with gateway(origins=()) as client:
        answers = [
            await client.options("/livez", headers={"origin": ORIGIN} | PREFLIGHT),
            await client.get("/livez", headers={"origin": ORIGIN}),
        ]
    assert [answer.status_code for answer in answers] == [204, 200]
    named = {name for answer in answers for name in answer.headers}
    assert not {name for name in named if name.startswith("access-control") or name == "vary"}
