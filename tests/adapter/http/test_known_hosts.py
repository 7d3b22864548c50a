"""A page whose name was rebound to this machine gets nothing of a gateway without keys."""

import pytest
from starlette.testclient import TestClient

from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement


def gateway(**settings: str) -> TestClient:
    names = ("gateway.example", "192.0.2.1")
    registry = ModelRegistry(FakeManagement(), None)
    app = create_app(Settings(**settings), inference=FakeInference(), registry=registry, host_names=names)
    return TestClient(app, base_url="http://gateway.example")


def status(host: str, **settings: str) -> int:
    return gateway(**settings).get("/livez", headers={"host": host}).status_code


@pytest.mark.parametrize(
    "host",
    [
        *("gateway.example", "gateway.example:8000", "GATEWAY.example.", "localhost", "localhost:3000"),
        *("app.localhost", "127.0.0.1:8000", "192.168.1.5", "[::1]:8000", "[::1]", "", ":8000"),
    ],
)
def test_answers_to_its_own_names_and_to_addresses(host: str) -> None:
    assert status(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "gateway.example.evil.example", "notlocalhost"),
        *("localhost.evil.example", "127.0.0.1.evil.example", "[evil.example]:8000", "1.2.3.4.5"),
    ],
)
def test_answers_to_no_other_name(host: str) -> None:
    assert status(host) == 403


@pytest.mark.parametrize("path", ["/generate", "/v1/models", "/metrics", "/docs", "/nothing"])
def test_nothing_is_behind_another_name_and_the_refusal_is_a_problem(path: str) -> None:
    answer = gateway().get(path, headers={"host": "evil.example"})

    assert answer.status_code == 403
    assert answer.json()["code"] == "forbidden"
    assert "TORCHBRIDGE_ALLOWED_HOSTS" in answer.json()["detail"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_with_keys_any_name_will_do() -> None:
    assert status("evil.example", api_keys="web:abcdefghijklmnop0123") == 200
