"""What a rollout may tell a host, and what it hears."""

from pathlib import Path

import pytest

from adapter.control.client import GatewayNotRunning
from adapter.control.rollout_messages import RolloutOrder
from adapter.errors import Conflict, InvalidRequest, UpstreamUnavailable
from adapter.versions import deployment
from adapter.versions.errors import ChangeRefused, ServerBusy
from adapter.versions.reconcile_loop import ReconcileLoop
from adapter.versions.rollout_orders import RolloutOrders
from tests.adapter.versions.fake_server import FakeServer, let_versions_answer_as_recorded, make_archive

OCI = "oci://registry.example/models/tiny"


def order(archive: str, order_id: str = "1", version: str = "2.0", default: str | None = None) -> RolloutOrder:
    models = {"tiny": {"default": default or version, "versions": {version: {"archive": archive}}}}
    return RolloutOrder.model_validate({"id": order_id, "models": models, "keeps_others": True})


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(make_archive(tmp_path / "archives", "2.0"))


@pytest.fixture
def orders(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> RolloutOrders:
    let_versions_answer_as_recorded(monkeypatch)
    server.serve("1.0")
    return RolloutOrders(lambda: server)


@pytest.fixture
def loop(server: FakeServer, orders: RolloutOrders) -> ReconcileLoop:
    return ReconcileLoop(lambda: server, orders)


def test_it_says_what_is_served(orders: RolloutOrders, server: FakeServer) -> None:
    report = orders.report()
    [version] = report.models["tiny"].versions.values()
    assert (report.models["tiny"].default, report.order) == ("1.0", None)
    assert (version.ready_workers, version.archive) == (1, str(server.files.store / "tiny-1.0.mar"))


def test_an_order_is_carried_out_by_the_keeper(
    orders: RolloutOrders, loop: ReconcileLoop, server: FakeServer, archive: str
) -> None:
    taken = orders.take(order(archive)).order
    assert taken is not None
    assert (taken.state, server.registered()) == ("working", ["1.0"])
    loop.look()
    done = orders.report().order
    assert done is not None
    assert (done.state, done.reason, server.registered()) == ("done", None, ["1.0", "2.0"])
    assert server.management.defaults["tiny"] == "2.0"


def test_only_one_is_carried_out_at_a_time(orders: RolloutOrders, archive: str) -> None:
    orders.take(order(archive))
    orders.take(order(archive))  # the very same one
    with pytest.raises(Conflict, match="another order"):
        orders.take(order(archive, "2"))


def test_it_waits_for_a_command(orders: RolloutOrders, loop: ReconcileLoop, server: FakeServer, archive: str) -> None:
    orders.take(order(archive))
    with server.locked("deploy"), pytest.raises(ServerBusy), server.locked("look"):
        pass
    with server.locked("deploy"):
        loop.look()
        waiting = orders.report().order
    assert waiting is not None
    assert waiting.state == "working"
    assert "Another" in waiting.step
    loop.look()
    assert server.management.defaults["tiny"] == "2.0"


def test_why_it_failed_is_said_with_what_became_of_it(
    orders: RolloutOrders, loop: ReconcileLoop, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ChangeRefused("Its answers are others.")

    monkeypatch.setattr(deployment, "_ask", fail)
    orders.take(order(archive))
    loop.look()
    failed = orders.report().order
    assert failed is not None
    assert failed.state == "failed"
    assert failed.reason is not None
    assert "Its answers are others. the deploy of tiny 2.0 is undone" in failed.reason


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        ("tiny-2.0.mar", "is not an absolute path"),
        (f"{OCI}:2.0", "is a tag"),
        ("oci://nothing", "is no reference"),
    ],
)
def test_what_may_be_different_things_on_different_hosts_is_refused(
    orders: RolloutOrders, archive: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        orders.take(order(archive))


def test_a_default_that_is_none_of_the_versions_is_refused(orders: RolloutOrders, archive: str) -> None:
    with pytest.raises(InvalidRequest, match=r"3\.0, is none of the versions"):
        orders.take(order(archive, default="3.0"))


def test_a_digest_takes_the_place_of_a_tag(orders: RolloutOrders) -> None:
    orders.take(order(f"{OCI}@sha256:{'0' * 64}"))


def test_a_host_that_follows_a_file_takes_none(server: FakeServer, archive: str) -> None:
    server.serve("1.0")
    with pytest.raises(Conflict, match=r"follows /etc/models\.yaml: change that file"):
        RolloutOrders(lambda: server, Path("/etc/models.yaml")).take(order(archive))


def test_a_host_that_cannot_say_it_right_now_can_be_asked_again() -> None:
    def find_server() -> FakeServer:
        raise GatewayNotRunning("It is starting.")

    with pytest.raises(UpstreamUnavailable) as failure:
        RolloutOrders(find_server).report()
    assert failure.value.retryable
