"""The canaries that the server watches, on a server in memory: what becomes of them, and what is written down."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.control.client import GatewayNotRunning
from adapter.control.messages import CanaryReport
from adapter.errors import Conflict, UpstreamUnavailable
from adapter.versions import canary_keeper
from adapter.versions.canary_keeper import CanaryKeeper
from adapter.versions.canary_record import CanaryRecord, CanaryRecords, Outcome
from adapter.versions.errors import VersionError
from tests.adapter.versions.fake_canary import GatewayWithCanary, report
from tests.adapter.versions.fake_server import Clock, FakeServer
from tests.waiting import wait_until

PROMOTED, GIVEN_UP, UNDECIDED, CUT_SHORT = Outcome.PROMOTED, Outcome.GIVEN_UP, Outcome.UNDECIDED, Outcome.CUT_SHORT


@pytest.fixture
def server(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = FakeServer(tmp_path / "run", clock)
    server.gateway = GatewayWithCanary(server.management, clock)
    server.serve("1.0", "2.0")
    monkeypatch.setattr(canary_keeper, "time", clock)
    return server


@pytest.fixture
def gateway(server: FakeServer) -> GatewayWithCanary:
    return server.gateway


@pytest.fixture
def keeper(server: FakeServer, gateway: GatewayWithCanary) -> CanaryKeeper:
    return CanaryKeeper(gateway, server.files, lambda: server)


def record_of(server: FakeServer) -> CanaryRecord:
    return CanaryRecords.read(server.files.canaries).canaries["tiny"]


def test_one_that_goes_on_is_kept_alive_and_written_down(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(10)
    for _ in range(3):
        keeper.look()
    assert (gateway.num_renewed, gateway.num_ended) == (3, 0)
    record = record_of(server)
    assert (record.version, record.control_version, record.outcome) == ("1.0", "2.0", None)
    assert record.what == "5 % of the requests, at random, go to 1.0, the others to 2.0"


def test_what_is_no_worse_is_promoted_as_by_a_command(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(500)
    keeper.look()
    assert server.management.changes == [("set_default", "tiny", "1.0")]
    assert server.state.models["tiny"].default == "1.0"
    assert server.journal.unfinished() is None
    assert (record_of(server).outcome, gateway.num_ended) == (PROMOTED, 1)
    assert "1.0 fails at most 2.0% more often, its times not compared: it is the default" in record_of(server).reason


@pytest.mark.parametrize(
    ("seen", "seconds", "outcome", "reason"),
    [
        pytest.param(report(5, 100), 0, GIVEN_UP, "1.0 fails more often: it is not promoted", id="it is worse"),
        pytest.param(report(10), 60, UNDECIDED, "no verdict in time: 1.0 is not promoted", id="its time is up"),
        pytest.param(
            report(500, is_shadow=True), 0, Outcome.WOULD_BE_PROMOTED, "it would be promoted", id="it is a shadow"
        ),
    ],
)
def test_all_else_is_not_promoted(
    server: FakeServer,
    gateway: GatewayWithCanary,
    keeper: CanaryKeeper,
    clock: Clock,
    *,
    seen: CanaryReport,
    seconds: float,
    outcome: Outcome,
    reason: str,
) -> None:
    gateway.seen = report(5, is_shadow=seen.is_shadow)
    keeper.look()
    gateway.seen = seen
    clock.sleep(seconds)
    keeper.look()
    assert (record_of(server).outcome, gateway.num_ended) == (outcome, 1)
    assert reason in record_of(server).reason
    assert server.management.changes == []


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        pytest.param(Conflict("It was aborted."), "It was aborted", id="aborted"),
        pytest.param(UpstreamUnavailable("TorchServe is gone."), "TorchServe is gone", id="TorchServe has crashed"),
        pytest.param(GatewayNotRunning("No gateway runs."), "No gateway runs", id="the gateway is gone"),
    ],
)
def test_one_that_ends_otherwise_is_cut_short_and_says_why(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper, failure: Exception, reason: str
) -> None:
    gateway.seen = report(10)
    keeper.look()
    gateway.failure = failure
    keeper.look()
    assert (record_of(server).outcome, server.management.changes) == (CUT_SHORT, [])
    assert reason in record_of(server).reason


def test_a_good_verdict_that_is_for_others_stays_to_be_read_until_its_time_is_up(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper, clock: Clock
) -> None:
    gateway.seen = report(500, promotes=False)
    for _ in range(3):
        keeper.look()
    assert (gateway.num_renewed, gateway.num_ended, record_of(server).outcome) == (3, 0, None)
    clock.sleep(60)
    keeper.look()
    assert (record_of(server).outcome, gateway.num_ended) == (Outcome.WOULD_BE_PROMOTED, 1)
    assert "it would be promoted" in record_of(server).reason
    assert server.management.changes == []


def test_a_bad_verdict_ends_it_whoever_was_to_read_it(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(promotes=False)
    keeper.look()
    gateway.seen = report(5, 100, promotes=False)
    keeper.look()
    assert (record_of(server).outcome, gateway.num_ended) == (GIVEN_UP, 1)


def test_counts_that_went_back_promote_nothing(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(30)
    keeper.look()
    gateway.seen = report(20)
    keeper.look()
    assert (record_of(server).outcome, server.management.changes) == (CUT_SHORT, [])
    assert "lost its counts" in record_of(server).reason


def test_one_that_a_command_watches_is_left_to_it(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(500, timeout=None)
    keeper.look()
    assert gateway.num_renewed == 0
    assert CanaryRecords.read(server.files.canaries) is None


def test_while_a_command_changes_the_server_the_promotion_waits_and_the_canary_goes_on(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(500)
    with server.locked("deploy tiny-3.0.mar"):
        keeper.look()
        assert (record_of(server).outcome, server.management.changes, gateway.num_ended) == (None, [], 0)
    keeper.look()
    assert record_of(server).outcome is PROMOTED


def test_what_cannot_be_promoted_is_not_and_says_why(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(500)
    server.management.models["tiny"]["1.0"] = []
    keeper.look()
    assert (record_of(server).outcome, server.management.changes) == (CUT_SHORT, [])
    assert "could not be: tiny 1.0 has no worker that is ready" in record_of(server).reason


def test_a_record_that_is_damaged_keeps_nobody_from_a_promotion(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    server.files.canaries.write_text("{")
    gateway.seen = report(500)
    keeper.look()
    assert server.state.models["tiny"].default == "1.0"
    assert "is not written down" in caplog.text
    with pytest.raises(VersionError, match="damaged"):
        CanaryRecords.read(server.files.canaries)


# Its begin and its end


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_keeper, "_SECONDS_BETWEEN_LOOKS", 0.01)


@pytest.mark.usefixtures("hurried")
def test_it_looks_by_itself_and_a_failure_does_not_end_that(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Exception] = [GatewayNotRunning("It starts."), RuntimeError("A bug.")]
    look: Callable[[], None] = keeper.look

    def fail_at_first() -> None:
        if failures:
            raise failures.pop()
        look()

    monkeypatch.setattr(keeper, "look", fail_at_first)
    gateway.seen = report(500)
    with keeper:
        wait_until(lambda: server.state.models["tiny"].default == "1.0")
        wait_until(lambda: gateway.num_ended == 1)


@pytest.mark.usefixtures("hurried")
def test_a_server_that_stops_ends_it_without_a_promotion_and_says_so(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(10)
    with keeper:
        wait_until(lambda: gateway.num_renewed > 0)
    assert (record_of(server).outcome, record_of(server).reason) == (CUT_SHORT, "the server was stopped")
    assert (gateway.num_ended, server.management.changes) == (1, [])


def test_one_that_a_killed_server_left_is_not_gone_on_with_and_says_so(
    server: FakeServer, gateway: GatewayWithCanary, keeper: CanaryKeeper
) -> None:
    gateway.seen = report(10)
    keeper.look()
    gateway.seen = None
    with CanaryKeeper(gateway, server.files, lambda: server):
        assert (record_of(server).outcome, record_of(server).reason) == (
            CUT_SHORT,
            "the server was killed, or crashed",
        )
