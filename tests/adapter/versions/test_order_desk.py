"""What a rollout may tell a host, and what it hears."""

from pathlib import Path

import pytest

from adapter.control.client import GatewayNotRunning
from adapter.control.rollout_messages import RolloutOrder
from adapter.errors import Conflict, InvalidRequest, UpstreamUnavailable
from adapter.versions import deployment
from adapter.versions.errors import ChangeRefused, ServerBusy
from adapter.versions.order_desk import OrderDesk
from adapter.versions.state_keeper import StateKeeper
from tests.adapter.versions.fake_server import FakeServer, let_versions_answer_as_recorded, make_archive

OCI = "oci://registry.example/models/tiny"


def order(archive: str, order_id: str = "1", version: str = "2.0", default: str | None = None) -> RolloutOrder:
    models = {"tiny": {"default": default or version, "versions": {version: {"archive": archive}}}}
    return RolloutOrder.model_validate({"id": order_id, "models": models, "keeps_others": True})


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(make_archive(tmp_path / "archives", "2.0"))


@pytest.fixture
def desk(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> OrderDesk:
    let_versions_answer_as_recorded(monkeypatch)
    server.serve("1.0")
    return OrderDesk(lambda: server)


@pytest.fixture
def keeper(server: FakeServer, desk: OrderDesk) -> StateKeeper:
    return StateKeeper(lambda: server, desk)


def test_it_says_what_is_served(desk: OrderDesk, server: FakeServer) -> None:
    report = desk.report()
    [version] = report.models["tiny"].versions.values()
    assert (report.models["tiny"].default, report.order) == ("1.0", None)
    assert (version.ready_workers, version.archive) == (1, str(server.files.store / "tiny-1.0.mar"))


def test_an_order_is_carried_out_by_the_keeper(
    desk: OrderDesk, keeper: StateKeeper, server: FakeServer, archive: str
) -> None:
    taken = desk.take(order(archive)).order
    assert taken is not None
    assert (taken.state, server.registered()) == ("working", ["1.0"])
    keeper.look()
    done = desk.report().order
    assert done is not None
    assert (done.state, done.reason, server.registered()) == ("done", None, ["1.0", "2.0"])
    assert server.management.defaults["tiny"] == "2.0"


def test_only_one_is_carried_out_at_a_time(desk: OrderDesk, archive: str) -> None:
    desk.take(order(archive))
    desk.take(order(archive))  # the very same one
    with pytest.raises(Conflict, match="another order"):
        desk.take(order(archive, "2"))


def test_it_waits_for_a_command(desk: OrderDesk, keeper: StateKeeper, server: FakeServer, archive: str) -> None:
    desk.take(order(archive))
    with server.locked("deploy"), pytest.raises(ServerBusy), server.locked("look"):
        pass
    with server.locked("deploy"):
        keeper.look()
        waiting = desk.report().order
    assert waiting is not None
    assert waiting.state == "working"
    assert "Another" in waiting.step
    keeper.look()
    assert server.management.defaults["tiny"] == "2.0"


def test_why_it_failed_is_said_with_what_became_of_it(
    desk: OrderDesk, keeper: StateKeeper, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ChangeRefused("Its answers are others.")

    monkeypatch.setattr(deployment, "_ask", fail)
    desk.take(order(archive))
    keeper.look()
    failed = desk.report().order
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
def test_what_may_be_different_things_on_different_hosts_is_refused(desk: OrderDesk, archive: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        desk.take(order(archive))


def test_a_default_that_is_none_of_the_versions_is_refused(desk: OrderDesk, archive: str) -> None:
    with pytest.raises(InvalidRequest, match=r"3\.0, is none of the versions"):
        desk.take(order(archive, default="3.0"))


def test_a_digest_takes_the_place_of_a_tag(desk: OrderDesk) -> None:
    desk.take(order(f"{OCI}@sha256:{'0' * 64}"))


def test_a_host_that_follows_a_file_takes_none(server: FakeServer, archive: str) -> None:
    server.serve("1.0")
    with pytest.raises(Conflict, match=r"follows /etc/models\.yaml: change that file"):
        OrderDesk(lambda: server, Path("/etc/models.yaml")).take(order(archive))


def test_a_host_that_cannot_say_it_right_now_can_be_asked_again() -> None:
    def find_server() -> FakeServer:
        raise GatewayNotRunning("It is starting.")

    with pytest.raises(UpstreamUnavailable) as failure:
        OrderDesk(find_server).report()
    assert failure.value.retryable
