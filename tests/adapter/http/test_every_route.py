import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import RouteContext, iter_route_contexts

from adapter.gateway import create_app
from adapter.http.json_body import JsonRoute
from adapter.schema import Problem
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.http.raw_http import raw_answer
from tests.fakes import FakeInference, FakeManagement, serving

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
GATEWAY = create_app(Settings())
ROUTES = list(iter_route_contexts(GATEWAY.routes))
TAKEN = {
    path: set().union(*(route.methods for route in ROUTES if route.path == path))
    for path in {route.path for route in ROUTES}
}
SAFE = {"GET", "HEAD"}
NOT_OK = {"/": 307, "/canary/verdict": 404, "/chat/ui/{chat_id}/stream": 204}  # to the docs; no canary; no answer
# Their DELETE takes no body: one stops what is there, and the other misses the id of what is to be stopped.
DELETED = {"/chat/ui/{chat_id}/stream": (204, b""), "/generate/stream": (422, None)}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    registry = ModelRegistry(FakeManagement(), default_model=None)
    with serving(create_app(Settings(), inference=FakeInference(), registry=registry)) as address:
        yield address


@pytest.mark.parametrize("path", sorted(TAKEN))
def test_every_route_has_a_series_of_its_own(path: str) -> None:
    scope = {"type": "http", "path": re.sub(r"{\w+}", "x", path)}
    assert GATEWAY.state.http_metrics.route_of(scope) == path


@pytest.mark.parametrize("route", [route for route in ROUTES if route.methods - SAFE], ids=lambda route: route.path)
def test_every_body_is_read_strictly(route: RouteContext) -> None:
    assert isinstance(route.original_route, JsonRoute)


def ask(address: str, path: str, method: str) -> httpx.Response:
    parameters = {"name": "swagger-ui.css" if "assets" in path else "tiny", "model_id": "tiny", "chat_id": "1"}
    answer = httpx.request(method, address + path.replace(":path", "").format(**parameters), timeout=30)
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    assert answer.headers["x-request-id"]
    return answer


def all_methods(path: str) -> set[str]:
    return TAKEN[path] | {"OPTIONS"} | (SAFE if "GET" in TAKEN[path] else set())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", sorted(TAKEN))
def test_every_method_has_its_typed_answer(address: str, path: str, method: str) -> None:
    answer = ask(address, path, method)
    if method in all_methods(path) & SAFE:
        assert answer.status_code == NOT_OK.get(path, 200)
        return
    if method == "OPTIONS":
        assert (answer.status_code, answer.content) == (204, b"")
        assert set(answer.headers["allow"].split(", ")) == all_methods(path)
        return
    if method == "DELETE" and path in DELETED:
        status, content = DELETED[path]
        assert (answer.status_code, content in {None, answer.content}) == (status, True)
        return
    status, code = (415, "unsupported_media_type") if method in TAKEN[path] else (405, "method_not_allowed")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 405:
        assert set(answer.headers["allow"].split(", ")) == all_methods(path)
    if method == "HEAD":
        assert not answer.content
    else:
        assert Problem.model_validate_json(answer.content).code == code


@pytest.mark.parametrize("path", sorted(path for path in TAKEN if "GET" in TAKEN[path]))
def test_the_head_of_an_answer_is_that_of_the_whole(address: str, path: str) -> None:
    head, whole = (ask(address, path, method) for method in ("HEAD", "GET"))
    changing = {"date", "server-timing", "x-request-id"} | ({"content-length"} if path == "/metrics" else set())
    told, all_of_it = (
        {name: value for name, value in answer.headers.items() if name not in changing} for answer in (head, whole)
    )
    assert (head.status_code, told, head.content) == (whole.status_code, all_of_it, b"")


def test_a_connection_lasts_beyond_a_head_without_a_body(address: str) -> None:
    head = b"HEAD /readyz HTTP/1.1\r\nHost: gateway\r\n"
    answer, _ = raw_answer(address, head + b"\r\n" + head + b"Connection: close\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, None)


def test_no_route_takes_options_which_need_no_key() -> None:
    assert not [path for path in TAKEN if "OPTIONS" in TAKEN[path]]


@pytest.mark.parametrize(
    "request_line", ["OPTIONS / HTTP/1.0", "OPTIONS * HTTP/1.1\r\nHost: gateway", "OPTIONS /livez HTTP/1.0"]
)
def test_the_first_question_of_a_load_balancer_is_answered(address: str, request_line: str) -> None:
    answer, body = raw_answer(address, f"{request_line}\r\n\r\n".encode())
    assert (answer.status, body) == (204, b"")
    assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/generate/nothing", "/generate/", "/models/", "/livez/", "/livez%2F", "//livez"),
        *("/models/a/b", "/models/a%2Fb", "/models/..%2F..%2Flivez", "/docs/assets", "/docs/assets/..%2Fredoc.html"),
        *("/LIVEZ", "/livez%00", "/livez%0a", "/livez;x", "/livez%C3%28", "/%ff", "/v1", "/v1/", "/./livez"),
    ],
)
def test_an_unknown_address_is_a_problem(address: str, path: str) -> None:
    answer, body = raw_answer(address, f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    assert (answer.status, Problem.model_validate_json(body).code) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "target", ["http://evil@gateway/livez", "ftp://evil/livez", "http:///livez", "@evil/livez", "*", "evil:443"]
)
def test_a_target_that_is_no_address_leads_nowhere(address: str, target: str) -> None:
    answer, body = raw_answer(address, f"GET {target} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    assert (answer.status, Problem.model_validate_json(body).code) == (404, "not_found")


@pytest.mark.parametrize("host", ["evil/livez?", "evil#@gateway", "a" * 300, "gateway\tx", "[::1", "é", ""])
@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/models", 200), ("/nothing", 404), ("/generate", 405)])
def test_the_host_changes_nothing(address: str, path: str, status: int, host: str) -> None:
    answer, body = raw_answer(address, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status == status
    assert b"evil" not in body + str(answer.headers).encode()
