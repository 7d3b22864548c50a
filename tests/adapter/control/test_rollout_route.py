"""The door for rollouts over TCP: who gets through it, and what `torchbridge rollout` makes of its answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from adapter.control.rollout_messages import HostReport, OrderReport, RolloutOrder, ServedModel, ServedVersion
from adapter.errors import Conflict, UpstreamUnavailable
from adapter.gateway import create_app
from adapter.http.authentication import ROLLOUT_PATH
from adapter.rollout.errors import RolloutError, RolloutRefused
from adapter.rollout.host import Host, HostAway
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, serving
from tests.free_ports import free_port

KEY, API_KEY, OPERATOR_KEY = "rollout-0123456789-abc", "callers-0123456789-abc", "operator-0123456789-abc"
ALL_KEYS = {"rollout_keys": f"ci:{KEY}", "api_keys": f"web:{API_KEY}", "operator_keys": f"top:{OPERATOR_KEY}"}
ORDER = RolloutOrder.model_validate(
    {
        "id": "1",
        "models": {"tiny": {"default": "2.0", "versions": {"2.0": {"archive": "/models/tiny-2.0.mar"}}}},
        "keeps_others": True,
    }
)
VERSION = ServedVersion(archive="/store/tiny-1.0.mar", digest="0" * 64, workers=1, ready_workers=1)


class Desk:
    def __init__(self) -> None:
        self.order: RolloutOrder | None = None
        self.failure: Exception | None = None

    def take(self, order: RolloutOrder) -> HostReport:
        self.order = order
        return self.report()

    def report(self) -> HostReport:
        if self.failure:
            raise self.failure
        order = OrderReport(id=self.order.id, state="working", step="waiting") if self.order else None
        return HostReport(models={"tiny": ServedModel(default="1.0", versions={"1.0": VERSION})}, order=order)


@contextmanager
def gateway(desk: Desk | None, **settings: object) -> Iterator[str]:
    app = create_app(
        Settings.model_validate(settings), inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None)
    )
    app.state.rollout_endpoint.receiver = desk
    with serving(app) as url:
        yield url


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    with gateway(desk, **ALL_KEYS) as url:
        yield url


@pytest.mark.parametrize(
    ("key", "status"), [(KEY, 200), (API_KEY, 401), (OPERATOR_KEY, 401), (KEY.upper(), 401), (None, 401)]
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_a_rollout_key_opens_it(url: str, desk: Desk, method: str, key: str | None, status: int) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = ORDER.model_dump() if method == "PUT" else None
    answer = httpx.request(method, f"{url}{ROLLOUT_PATH}", headers=headers, json=body)
    assert answer.status_code == status
    assert (desk.order is not None) == (method == "PUT" and status == 200)


@pytest.mark.parametrize("path", ["/models", "/metrics", "/canary/verdict"])
def test_a_rollout_key_opens_nothing_else(url: str, path: str) -> None:
    assert httpx.get(f"{url}{path}", headers={"authorization": f"Bearer {KEY}"}).status_code == 401


def test_without_rollout_keys_it_is_not_there(desk: Desk) -> None:
    with gateway(desk, operator_keys=OPERATOR_KEY) as url:
        answer = httpx.get(f"{url}{ROLLOUT_PATH}", headers={"authorization": f"Bearer {OPERATOR_KEY}"})
        assert answer.status_code == 404
        with pytest.raises(RolloutError, match="takes no rollouts: TORCHBRIDGE_ROLLOUT_KEYS"):
            Host(url, KEY).report()


def test_a_gateway_without_a_server_around_it_takes_none() -> None:
    with gateway(None, **ALL_KEYS) as url, pytest.raises(RolloutError, match="takes no rollouts"):
        Host(url, KEY).report()


@pytest.mark.parametrize("change", [{"models": {}}, {"id": "../x"}, {"keeps_others": 1}, {"unknown": 1}])
def test_an_order_is_read_strictly(url: str, desk: Desk, change: dict[str, object]) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    answer = httpx.put(f"{url}{ROLLOUT_PATH}", headers=headers, json=ORDER.model_dump() | change)
    assert (answer.status_code, answer.json()["code"], desk.order) == (422, "invalid_request", None)


def test_a_host_is_told_and_asked(url: str, desk: Desk) -> None:
    host = Host(url, KEY)
    assert host.report().models["tiny"].versions["1.0"] == VERSION
    assert host.order(ORDER).order == OrderReport(id="1", state="working", step="waiting")
    assert desk.order == ORDER
    assert host.is_ready()


def test_what_may_pass_is_told_from_what_does_not(url: str, desk: Desk) -> None:
    desk.failure = UpstreamUnavailable("It is starting.")
    with pytest.raises(HostAway, match=r"It is starting\."):
        Host(url, KEY).report()
    desk.failure = Conflict("This host follows a file.")
    with pytest.raises(RolloutError, match=r"This host follows a file\."):
        Host(url, KEY).order(ORDER)


def test_a_host_where_nobody_listens_is_away() -> None:
    host = Host(f"127.0.0.1:{free_port()}", KEY)
    with pytest.raises(HostAway):
        host.report()
    assert not host.is_ready()


@pytest.mark.parametrize("name", ["", "a b", "http://", "http://user:secret@a", "ftp://a", "a:8000?x", "a:800000"])
def test_what_is_no_address_is_refused(name: str) -> None:
    with pytest.raises(RolloutRefused, match="is no address of a gateway"):
        Host(name, KEY)


def test_no_key_is_shown(url: str) -> None:
    host = Host(url, "wrong-0123456789-abc")
    with pytest.raises(RolloutError) as failure:
        host.report()
    assert "wrong-0123456789-abc" not in f"{host!r} {failure.value}"
