"""What proxies say of callers, and that nobody else can say it."""

import logging

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from adapter.gateway import create_app
from adapter.http.forwarded_headers import ForwardedHeaders
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

PROXY, INNER_PROXY, CALLER, STRANGER = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.9"


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    assert request.client is not None
    told = {"client": request.client.host, "scheme": request.url.scheme, "host": request.headers.getlist("host")}
    await JSONResponse(told)(scope, receive, send)


def told(forwarded: dict[str, str], peer: str = PROXY, trusted: tuple[str, ...] = ("10.0.0.0/8",)) -> object:
    client = TestClient(ForwardedHeaders(tell, trusted), "http://upstream:8000", client=(peer, 50_000))
    return client.get("/", headers={f"x-forwarded-{name}": value for name, value in forwarded.items()}).json()


def caller(chain: str, **options: object) -> object:
    return told({"for": chain}, **options)["client"]  # type: ignore[index,arg-type]


def test_a_trusted_proxy_says_who_calls_and_how() -> None:
    assert told({"for": CALLER, "proto": "https", "host": "app.example.com"}) == {
        "client": CALLER,
        "scheme": "https",
        "host": ["app.example.com"],
    }


def test_from_anybody_else_it_is_ignored() -> None:
    assert told({"for": CALLER, "proto": "https", "host": "app.example.com"}, peer=STRANGER) == {
        "client": STRANGER,
        "scheme": "http",
        "host": ["upstream:8000"],
    }


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        pytest.param(CALLER, CALLER, id="one hop"),
        pytest.param(f"{CALLER}, {INNER_PROXY}", CALLER, id="two hops"),
        pytest.param(f"127.0.0.1, {CALLER}, {INNER_PROXY}", CALLER, id="a caller that says it is this machine"),
        pytest.param(f"{PROXY}, {CALLER}, {INNER_PROXY}", CALLER, id="a caller that says it is a proxy"),
        pytest.param(f"{CALLER}, {STRANGER}, {INNER_PROXY}", STRANGER, id="a proxy that nobody trusts"),
        pytest.param(f"{CALLER}, [2001:db8::1]:443", "2001:db8::1", id="a port"),
        pytest.param(INNER_PROXY, INNER_PROXY, id="a proxy that calls for itself"),
        pytest.param("", PROXY, id="nothing"),
    ],
)
def test_the_caller_is_the_last_one_that_is_no_trusted_proxy(chain: str, address: str) -> None:
    assert caller(chain) == address


def test_a_proxy_is_known_at_a_socket_for_ipv4_and_ipv6() -> None:
    assert caller(CALLER, peer=f"::ffff:{PROXY}") == CALLER


def test_a_proxy_may_be_named_by_its_one_address() -> None:
    assert caller(CALLER, trusted=(PROXY,)) == CALLER
    assert caller(CALLER, trusted=(PROXY,), peer=INNER_PROXY) == INNER_PROXY


def test_of_several_names_none_is_lost() -> None:
    named = told({"host": "localhost, evil.example"})
    assert named["host"] == ["localhost", "evil.example"]  # type: ignore[index]


def gateway(peer: str) -> TestClient:
    settings, registry = Settings(trusted_proxies="10.0.0.0/8"), ModelRegistry(FakeManagement(), None)
    app = create_app(settings, inference=FakeInference(), registry=registry, host_names=("app.example.com",))
    return TestClient(app, "http://upstream:8000", client=(peer, 50_000))


@pytest.mark.parametrize(
    ("peer", "name", "status"),
    [
        pytest.param(PROXY, "app.example.com", 200, id="a known name"),
        pytest.param(PROXY, "evil.example", 403, id="another name"),
        pytest.param(PROXY, "localhost, evil.example", 403, id="a known name before another"),
        pytest.param(STRANGER, "app.example.com", 403, id="a known name of a stranger's"),
    ],
)
def test_the_name_that_a_gateway_is_called_by_is_what_the_proxy_says(peer: str, name: str, status: int) -> None:
    assert gateway(peer).get("/livez", headers={"x-forwarded-host": name}).status_code == status


@pytest.mark.parametrize(
    ("peer", "chain", "address"),
    [
        pytest.param(PROXY, CALLER, CALLER, id="through a proxy"),
        pytest.param(STRANGER, CALLER, STRANGER, id="by itself"),
        pytest.param(PROXY, f"{CALLER} web GET /", "-", id="what is no address"),
    ],
)
def test_the_line_in_the_log_has_the_callers_address(
    peer: str, chain: str, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter.http.request_envelope")
    headers = {"host": "127.0.0.1", "x-forwarded-for": chain, "x-request-id": "abc"}
    gateway(peer).get("/livez", headers=headers)
    [line] = caplog.messages
    assert line.startswith(f"abc anonymous {address} GET /livez 200 ")


def test_without_proxies_nobody_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "adapter.http.request_envelope")
    app = create_app(Settings(), inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))
    TestClient(app, client=("127.0.0.1", 50_000)).get("/livez", headers={"x-forwarded-for": CALLER})
    assert " 127.0.0.1 GET /livez" in caplog.messages[0]
