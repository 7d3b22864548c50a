"""A rollout over hosts in memory, each with the orders and the loop of a real server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.errors import GenerationFailed
from adapter.rollout import agreement
from adapter.rollout.errors import RolloutError, RolloutRefused
from adapter.rollout.journal import Rollout, Stage
from adapter.rollout.rollout import RolloutController
from adapter.versions import deployment
from adapter.versions.desired_state import DesiredState
from tests.adapter.rollout.conftest import NAMES
from tests.adapter.rollout.fake_hosts import FakeHost, HostClock
from tests.adapter.versions.fake_server import Lines, make_archive

Hosts = dict[str, FakeHost]
MakeController = Callable[[], RolloutController]

BEFORE, AFTER, ALONE = ("1.0", ["1.0"]), ("2.0", ["1.0", "2.0"]), ("2.0", ["2.0"])


def served(hosts: Hosts) -> list[tuple[str, list[str]]]:
    return [host.served() for host in hosts.values()]


def roll_out(controller: RolloutController, desired: DesiredState, *, at_once: int = 1) -> Rollout:
    return controller.roll_out(NAMES, desired, at_once)


@pytest.fixture
def working_together(hosts: Hosts, clock: HostClock) -> list[int]:
    """How many hosts had an order at once, each time that they were looked at."""
    counts: list[int] = []

    def count() -> None:
        reports = [host.report().order for host in hosts.values()]
        counts.append(sum(report is not None and report.state == "working" for report in reports))

    clock.keepers.insert(0, count)
    return counts


@pytest.mark.parametrize("at_once", [1, 3])
def test_every_host_gets_the_new_version_and_keeps_the_old_one(
    controller: MakeController, hosts: Hosts, desired: DesiredState, working_together: list[int], at_once: int
) -> None:
    rollout = roll_out(controller(), desired, at_once=at_once)
    assert rollout.stage is Stage.DONE
    assert served(hosts) == [AFTER] * 4
    assert max(working_together) == at_once


def test_it_is_aborted_by_one_command_on_every_host(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    roll_out(controller(), desired)
    assert controller().abort().stage is Stage.ABORTED
    assert served(hosts) == [BEFORE] * 4
    with pytest.raises(RolloutRefused, match="is aborted"):
        controller().abort()


def test_it_is_finished_and_then_cannot_be_aborted(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    with pytest.raises(RolloutRefused, match="There was no rollout"):
        controller().finish()
    roll_out(controller(), desired)
    assert controller().finish().stage is Stage.FINISHED
    assert served(hosts) == [ALONE] * 4
    with pytest.raises(RolloutRefused, match="is finished"):
        controller().abort()


def test_a_host_with_a_third_version_is_refused_before_anything(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    hosts["c"].server.serve("0.9")
    with pytest.raises(RolloutRefused, match=r"do not serve the same version of tiny: a: 1\.0 .*c: 0\.9"):
        roll_out(controller(), desired)
    assert not any(host.orders for host in hosts.values())


def test_a_host_with_another_content_of_the_old_version_is_refused(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    server = hosts["c"].server
    [(name, model)] = server.state.models.items()
    version = model.versions["1.0"].model_copy(update={"digest": "0" * 64})
    server.save(server.state.with_model(name, model.with_version("1.0", version)))
    with pytest.raises(RolloutRefused, match="do not serve the same version"):
        roll_out(controller(), desired)


def test_hosts_that_have_the_new_version_already_are_taken_along(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    hosts["b"].server.serve("2.0")
    roll_out(controller(), desired)
    assert served(hosts) == [AFTER] * 4


def test_another_content_at_the_same_path_never_becomes_a_default(
    controller: MakeController, hosts: Hosts, desired: DesiredState, clock: HostClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the path is each host's own the first one, which is alone for that, says what it is."""
    monkeypatch.setattr(agreement, "_digest_here", lambda _: None)
    archives = Path(desired.models["tiny"].versions["2.0"].archive).parent

    def exchange() -> None:
        if hosts["a"].report().models["tiny"].default == "2.0":
            make_archive(archives, "2.0", weight_bytes=48)

    clock.keepers.insert(0, exchange)
    with pytest.raises(RolloutError, match=r"b: .* has another content"):
        roll_out(controller(), desired, at_once=4)
    assert served(hosts) == [AFTER, BEFORE, BEFORE, BEFORE]


def test_a_host_that_fails_stops_it_and_the_same_command_goes_on(
    controller: MakeController, hosts: Hosts, desired: DesiredState, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = deployment._ask

    async def fail_on_b(server: object, ask: object) -> None:
        if server is hosts["b"].server:
            raise GenerationFailed("It does not answer as it was recorded.")
        await asked(server, ask)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(deployment, "_ask", fail_on_b)
        with pytest.raises(RolloutError, match=r"b: It does not answer as it was recorded.*undone"):
            roll_out(controller(), desired)
    assert served(hosts) == [AFTER, BEFORE, BEFORE, BEFORE]
    roll_out(controller(), desired)
    assert served(hosts) == [AFTER] * 4


def test_what_was_begun_is_gone_on_with_or_aborted_before_another_one(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    hosts["b"].is_away = True
    other = desired.model_copy(update={"default_model": "tiny"})
    with pytest.raises(RolloutRefused, match="b does not answer"):
        roll_out(controller(), desired)
    hosts["b"].is_away, hosts["b"].is_unready = False, True
    with pytest.raises(RolloutError, match="b is not ready"):
        roll_out(controller(), desired)
    with pytest.raises(RolloutRefused, match="Another rollout is not at its end"):
        roll_out(controller(), other)
    hosts["b"].is_unready = False
    controller().abort()
    roll_out(controller(), other)
    assert served(hosts) == [AFTER] * 4


def test_a_host_that_was_started_again_is_told_again(
    controller: MakeController, hosts: Hosts, desired: DesiredState, clock: HostClock
) -> None:
    starts: list[None] = []

    def restart_once() -> None:
        if hosts["c"].orders and not starts:
            starts.append(None)
            hosts["c"].restart()

    clock.keepers.insert(0, restart_once)
    roll_out(controller(), desired)
    assert len(hosts["c"].orders) == 2
    assert served(hosts) == [AFTER] * 4


def test_a_host_that_is_away_is_waited_for(
    controller: MakeController, hosts: Hosts, desired: DesiredState, clock: HostClock
) -> None:
    def leave() -> None:
        if hosts["a"].orders and not hosts["d"].is_away and not hosts["d"].orders:
            hosts["d"].is_away = True
            clock.after(60, lambda: setattr(hosts["d"], "is_away", False))

    clock.keepers.insert(0, leave)
    roll_out(controller(), desired, at_once=4)
    assert served(hosts) == [AFTER] * 4


def test_an_abort_goes_back_where_it_can_and_says_where_not(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    roll_out(controller(), desired)
    hosts["b"].is_away = True
    with pytest.raises(RolloutError, match="b does not answer"):
        controller().abort()
    hosts["b"].is_away = False
    assert served(hosts) == [BEFORE, AFTER, BEFORE, BEFORE]
    controller().abort()
    assert served(hosts) == [BEFORE] * 4


def test_progress_is_said(controller: MakeController, desired: DesiredState, lines: Lines) -> None:
    roll_out(controller(), desired)
    assert [line for line in lines if not line.startswith(" ")][:4] == [
        "a (0 of 4 are done)",
        "a is done",
        "b (1 of 4 are done)",
        "b is done",
    ]


def test_one_that_is_done_is_not_begun_again_and_can_still_be_aborted(
    controller: MakeController, hosts: Hosts, desired: DesiredState
) -> None:
    roll_out(controller(), desired)
    assert roll_out(controller(), desired).stage is Stage.DONE
    assert [len(host.orders) for host in hosts.values()] == [1] * 4
    controller().abort()
    assert served(hosts) == [BEFORE] * 4
