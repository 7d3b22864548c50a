"""Nobody comes in without a key, however the request is put; test_locked_routes.py has the addresses."""

import ast
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from adapter.http.api_keys import ApiKeys
from adapter.http.authentication import Authentication
from adapter.http.request_envelope import RequestEnvelope
from tests.fakes import serving, wait_for

KEY, OTHER_KEY = "canary-0123456789-abc", "canary-9876543210-xyz"
BEARER = {"authorization": f"Bearer {KEY}"}


class Inside:
    """What stands behind the door: says who came, and keeps count."""

    def __init__(self) -> None:
        self.callers: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.callers.append(scope["state"]["caller"])
            await JSONResponse(scope["state"]["caller"])(scope, receive, send)


@pytest.fixture
def inside() -> Inside:
    return Inside()


def behind_the_door(inside: Inside, keys: ApiKeys | None) -> RequestEnvelope:
    return RequestEnvelope(Authentication(inside, keys), max_body_bytes=1_000, body_timeout=30)


@pytest.fixture
def keys() -> ApiKeys:
    return ApiKeys(SecretStr(f"web:{KEY}"))


@pytest.fixture
async def client(inside: Inside, keys: ApiKeys) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(behind_the_door(inside, keys))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Inside, int]]:
    inside = Inside()
    with serving(behind_the_door(inside, ApiKeys(SecretStr(KEY)))) as url:
        yield inside, int(url.rpartition(":")[2])


# Every way to put a request


async def test_a_request_without_a_key_is_a_problem_that_names_the_scheme(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", headers={"x-request-id": "abc"})
    assert (answer.status_code, answer.json()["code"], answer.json()["request_id"]) == (401, "unauthorized", "abc")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_wrong_key_is_told_from_none(client: httpx.AsyncClient) -> None:
    details = [
        (await client.get("/models", headers=headers)).json()["detail"]
        for headers in ({}, {"authorization": f"Bearer {OTHER_KEY}"})
    ]
    assert [detail.partition(",")[0].partition(".")[0] for detail in details] == [
        "This address needs an API key",
        "This API key is not known here",
    ]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_case_insensitive(client: httpx.AsyncClient, inside: Inside, scheme: str) -> None:
    answer = await client.get("/models", headers={"authorization": f"{scheme} {KEY}"})
    assert (answer.status_code, inside.callers) == (200, ["web"])


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([b""], id="empty"),
        pytest.param([b"Bearer"], id="no key"),
        pytest.param([b"Bearer "], id="empty key"),
        pytest.param([KEY.encode()], id="no scheme"),
        pytest.param([b"Basic " + KEY.encode()], id="another scheme"),
        pytest.param([b"Bearer" + KEY.encode()], id="no space"),
        pytest.param([b"Bearer\t" + KEY.encode()], id="tab"),
        pytest.param([b"Bearer Bearer " + KEY.encode()], id="twice the scheme"),
        pytest.param([b"Bearer " + KEY.encode() + b" " + KEY.encode()], id="twice the key"),
        pytest.param([b"Bearer " + KEY.encode() + b", Bearer x"], id="a list"),
        pytest.param([b"Bearer " + KEY.encode()] * 2, id="twice the header"),
        pytest.param([b"Bearer x", b"Bearer " + KEY.encode()], id="two headers, the last one right"),
        pytest.param([b"Bearer " + KEY.encode() + b"\xff"], id="not ASCII"),
        pytest.param([b"Bearer " + KEY.encode() + b"\n"], id="line feed"),
        pytest.param([b"Bearer " + b"x" * 8_192], id="8 KB"),
        pytest.param([b"Bearer " + b"=" * 8_192], id="8 KB of padding"),
        pytest.param([b"Bearer" + b" " * 8_192], id="8 KB of spaces"),
        pytest.param([b"Bearer web:" + KEY.encode()], id="with the name"),
        pytest.param([b"Bearer web"], id="the name"),
        pytest.param([b"Bearer " + KEY[:-1].encode()], id="cut short"),
        pytest.param([b"Bearer " + KEY.upper().encode()], id="upper case"),
    ],
)
async def test_what_is_not_exactly_one_known_key_is_refused(inside: Inside, keys: ApiKeys, values: list[bytes]) -> None:
    transport = httpx.ASGITransport(Authentication(inside, keys))  # RequestEnvelope refuses long headers by itself
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/models", headers=[(b"authorization", value) for value in values])
    assert (answer.status_code, inside.callers) == (401, [])


@pytest.mark.parametrize("header", ["x-api-key", "proxy-authorization", "cookie", "x-authorization"])
async def test_a_key_in_another_place_is_no_key(client: httpx.AsyncClient, header: str) -> None:
    assert (await client.get(f"/models?api_key={KEY}", headers={header: f"Bearer {KEY}"})).status_code == 401


def exchange(server: tuple[Inside, int], request: bytes) -> tuple[bytes, list[str]]:
    """The status with which a real server answers these very bytes, and who came in."""
    inside, port = server
    inside.callers.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65_536).split(b" ", 2)[1], inside.callers


@pytest.mark.parametrize(
    "target",
    [
        "//generate",
        "/generate/",
        "/%67enerate",
        "/generate%00",
        "/generate?/livez",
        "/generate#/livez",
        "/livez/../generate",
        "/livez/%2e%2e/generate",
        "/livez%2f..%2fgenerate",
        "/livez;/generate",
        "/livez%3f",
        "/livez/",
        "//livez",
        "/livez.",
        "/LIVEZ",
        "livez",
        "@livez",
        "*",
        "http://gateway/generate",
        "http://livez/generate",
        "http://gateway/livez/../generate",
        "http://gateway@x/livez",
        "/docs/assets/../../generate",
        "/docs/assets/%2e%2e/%2e%2e/generate",
        "/docs/assets/redoc.standalone.js",
        "/%256civez",
        "/liv\u200bez",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_target_leads_around_the_door(server: tuple[Inside, int], method: str, target: str) -> None:
    request = f"{method} {target} HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{{}}"
    status, callers = exchange(server, request.encode())
    assert status in {b"401", b"400"}
    assert callers == []


@pytest.mark.parametrize(
    "host", ["x/livez?", "x#@e", "e@x", "gateway\t", "x" * 300, "/livez", "", "gateway/livez", "livez\r\nHost: e"]
)
def test_no_host_leads_around_the_door(server: tuple[Inside, int], host: str) -> None:
    status, callers = exchange(server, f"GET /models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert status in {b"401", b"400"}
    assert callers == []


@pytest.mark.parametrize(
    "header", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Host", "X-HTTP-Method-Override"]
)
async def test_no_other_header_leads_around_the_door(client: httpx.AsyncClient, inside: Inside, header: str) -> None:
    assert (await client.get("/models", headers={header: "/livez"})).status_code == 401
    assert inside.callers == []


@pytest.mark.parametrize("target", ["/%6civez", "http://gateway/livez", "HTTPS://x:1/livez?/../generate", "http://x"])
def test_an_open_address_stays_itself_however_it_is_written(server: tuple[Inside, int], target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode()
    assert exchange(server, request) == (b"200", ["anonymous"])


def test_is_decided_before_the_body_comes(server: tuple[Inside, int]) -> None:
    request = b"POST /generate HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000000\r\n\r\n"
    assert exchange(server, request) == (b"401", [])


async def test_a_web_socket_needs_a_key_too(inside: Inside, keys: ApiKeys) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/livez", "headers": [], "extensions": {"websocket.http.response": {}}}
    await behind_the_door(inside, keys)(scope, None, send)

    assert (sent[0]["status"], inside.callers) == (401, [])


async def test_the_start_and_the_stop_need_no_key(keys: ApiKeys) -> None:
    scopes: list[str] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope["type"])

    await Authentication(application, keys)({"type": "lifespan"}, None, None)

    assert scopes == ["lifespan"]


# Who asks


@pytest.mark.parametrize("headers", [{}, {"authorization": f"Bearer {OTHER_KEY}"}], ids=["no key", "a wrong key"])
async def test_an_open_address_asks_for_nothing(
    client: httpx.AsyncClient, inside: Inside, headers: dict[str, str]
) -> None:
    assert (await client.get("/livez", headers=headers)).status_code == 200
    assert inside.callers == ["anonymous"]


async def test_everybody_is_let_in_where_no_keys_are_set(inside: Inside) -> None:
    transport = httpx.ASGITransport(behind_the_door(inside, None))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=BEARER) as client:
        assert (await client.post("/generate")).json() == "anonymous"


async def test_a_file_s_new_key_counts_while_the_server_runs(inside: Inside, tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.touch(0o600)
    file.write_text(f"web:{KEY}")
    with serving(behind_the_door(inside, ApiKeys(file))) as url, httpx.Client(base_url=url) as client:

        def status(key: str) -> int:
            return client.get("/models", headers={"authorization": f"Bearer {key}"}).status_code

        before = (status(KEY), status(OTHER_KEY))
        file.write_text(f"web:{OTHER_KEY}")
        await wait_for(lambda: status(OTHER_KEY) == 200)
        after = status(KEY)

    assert (before, after) == ((200, 401), 401)


async def test_no_key_is_logged_or_answered(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [
        (await client.get("/models", headers={"authorization": value})).text
        for value in (f"Bearer {KEY}", f"Bearer {OTHER_KEY}", f"Basic {OTHER_KEY}", KEY)
    ]
    assert len(caplog.messages) >= 4
    assert "canary" not in caplog.text + str(shown)


@pytest.mark.parametrize("module", ["http/authentication", "generation/rate_limit", "http/request_envelope"])
def test_no_decision_goes_by_a_url_that_the_host_header_is_part_of(module: str) -> None:
    tree = ast.parse((Path(__file__).parents[3] / "adapter" / f"{module}.py").read_text())
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert read.isdisjoint({"url", "base_url", "url_for"})
