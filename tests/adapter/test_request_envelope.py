import logging
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from adapter.request_envelope import RequestEnvelope


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    if scope["path"] == "/bug":
        raise LookupError("/home/secret")
    headers = {"cache-control": "max-age=1"} if scope["path"] == "/cached" else {}
    await JSONResponse({"request_id": request.state.request_id}, headers=headers)(scope, receive, send)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(RequestEnvelope(application, max_body_bytes=10))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_keeps_a_good_request_id(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"x-request-id": "abc-1_2.3"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "abc-1_2.3"


@pytest.mark.parametrize("request_id", ["", "a b", "a/b", "é", "x" * 65, '"}\t{"'])
async def test_replaces_a_bad_request_id(client: httpx.AsyncClient, request_id: str) -> None:
    answer = await client.get("/", headers={"x-request-id": request_id.encode()})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_an_answer_is_neither_stored_nor_sniffed(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/")).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_a_routes_own_cache_control_stands(client: httpx.AsyncClient) -> None:
    assert (await client.get("/cached")).headers["cache-control"] == "max-age=1"


async def test_a_bug_is_answered_with_the_same_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/bug", headers={"x-request-id": "abc"})
    assert (answer.status_code, answer.json()["code"], answer.json()["request_id"]) == (500, "internal", "abc")
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == ("abc", "no-store")
    assert "secret" not in answer.text


async def test_logs_one_line_that_a_path_cannot_break(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter")
    await client.get("/a%0Ab", headers={"x-request-id": "abc"})
    assert [re.sub(r"[\d.]+ s$", "", message) for message in caplog.messages] == ["abc GET /a%0Ab 200 "]
