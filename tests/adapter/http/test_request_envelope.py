import logging
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from adapter.gateway import create_app
from adapter.http.request_envelope import RequestEnvelope
from adapter.schema import Problem
from adapter.settings import Settings
from tests.adapter.http.raw_http import raw_answer
from tests.fakes import serving
from tests.waiting import PATIENCE

LIMIT = 100
CHUNK = b"40\r\n" + b" " * 64 + b"\r\n"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    request.state.caller = "web"
    if scope["path"] == "/bug":
        raise LookupError("/home/secret")
    headers = {"cache-control": "max-age=1"} if scope["path"] == "/cached" else {}
    await JSONResponse({"request_id": request.state.request_id}, headers=headers)(scope, receive, send)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(RequestEnvelope(application, max_body_bytes=LIMIT, body_timeout=30))
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


async def test_an_address_and_a_method_are_cut_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter")
    await client.request("M" * 500, f"/{'a' * 5_000}")
    assert f"{'M' * 20} /{'a' * 199}... (5001 characters) 200" in caplog.messages[-1]


async def test_logs_one_line_that_a_path_cannot_break(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter")
    await client.get("/a%0Ab", headers={"x-request-id": "abc"})
    assert [re.sub(r"[\d.]+ s$", "", message) for message in caplog.messages] == ["abc web 127.0.0.1 GET /a%0Ab 200 "]


async def test_the_line_of_a_refused_request_has_no_callers_name(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter.http.request_envelope")
    await client.get("/" + "a" * 8_192, headers={"x-request-id": "abc"})
    (line,) = caplog.messages
    assert line.startswith("abc - 127.0.0.1 GET /aaa")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(f"x-{number}", "") for number in range(101)], id="101 headers"),
        pytest.param([("x", "y" * 8_192)], id="one of more than 8 KiB"),
        pytest.param([(f"x-{number}", "y" * 6_000) for number in range(3)], id="more than 16 KiB"),
    ],
)
async def test_refuses_a_hostile_head(headers: list[tuple[str, str]]) -> None:
    # Not by httpx, which puts headers of its own into the head.
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    await RequestEnvelope(application, LIMIT, body_timeout=30)(scope, receive, send)
    assert sent[0]["status"] == 431
    assert Problem.model_validate_json(sent[1]["body"]).code == "headers_too_large"


@pytest.mark.parametrize("path", ["/" + "a" * 8_192, "/?" + "a" * 8_192])
async def test_refuses_an_endless_address(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (414, "address_too_long")


# Over real sockets


def post(head: bytes, body: bytes = b"") -> bytes:
    return b"POST /generate HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n" + head + b"\r\n" + body


@pytest.fixture(scope="module")
def strict_address() -> Iterator[str]:
    """The address of the echoing application behind tight limits."""
    with serving(RequestEnvelope(echo, LIMIT, body_timeout=PATIENCE)) as address:
        yield address


@pytest.fixture
def impatient_address() -> Iterator[str]:
    with serving(RequestEnvelope(echo, LIMIT, body_timeout=0.1)) as address:
        yield address


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        body = await Request(scope, receive).body() if scope["path"] == "/generate" else b""
        await JSONResponse(len(body))(scope, receive, send)


def code_of(address: str, request: bytes) -> tuple[int, str, str | None]:
    answer, body = raw_answer(address, request)
    return answer.status, Problem.model_validate_json(body).code, answer.headers["connection"]


def test_a_body_that_announces_too_much_is_not_waited_for(strict_address: str) -> None:
    refused = code_of(strict_address, post(b"Content-Length: 101\r\n"))
    assert refused == (413, "payload_too_large", "close")


def test_a_caller_who_asks_first_need_not_send_too_much(strict_address: str) -> None:
    refused = code_of(strict_address, post(b"Content-Length: 101\r\nExpect: 100-continue\r\n"))
    assert refused == (413, "payload_too_large", "close")


def test_a_chunked_body_that_has_no_end_is_cut(strict_address: str) -> None:
    refused = code_of(strict_address, post(b"Transfer-Encoding: chunked\r\n", CHUNK * 2))
    assert refused == (413, "payload_too_large", "close")


@pytest.mark.parametrize(
    ("head", "body"), [(b"Content-Length: 50\r\n", b"{"), (b"Transfer-Encoding: chunked\r\n", CHUNK)]
)
def test_a_body_that_does_not_end_in_time_is_given_up(impatient_address: str, head: bytes, body: bytes) -> None:
    assert code_of(impatient_address, post(head, body)) == (408, "request_timeout", "close")


def test_two_lengths_for_one_body_are_refused(strict_address: str) -> None:
    request = post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
    assert code_of(strict_address, request) == (400, "malformed_http", "close")


def test_a_connection_whose_request_was_read_stays_open(strict_address: str) -> None:
    answer, body = raw_answer(strict_address, post(b"Content-Length: 2\r\n", b"{}"))
    assert (answer.status, body, answer.headers["connection"]) == (200, b"2", None)


def test_a_refusal_does_not_cut_off_a_caller_who_is_still_sending(
    strict_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.http.limited_body._SECONDS_OF_READING_ON", PATIENCE)
    request = post(b"Content-Length: 8388608\r\n", b" " * 2**23)
    assert code_of(strict_address, request) == (413, "payload_too_large", "close")


def test_nothing_is_around_it() -> None:
    """It makes an answer of every failure itself: more frames and calls for each stream would be for nothing."""
    assert isinstance(create_app(Settings()).build_middleware_stack(), RequestEnvelope)
