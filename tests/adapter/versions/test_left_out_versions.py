"""What a start had to leave out is loaded as soon as it can be, and what a command is about to change is not."""

import pytest

from adapter.errors import UpstreamUnavailable
from adapter.versions import left_out_versions
from adapter.versions.errors import ServerBusy
from adapter.versions.journal import Operation
from adapter.versions.left_out_versions import LeftOutVersions
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines
from tests.adapter.versions.looks import Looks

FIRST_RETRY = 30.0


@pytest.fixture
def looks(server: FakeServer, clock: Clock, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Of a server that was started without its version 1.0."""
    monkeypatch.setattr(left_out_versions, "time", clock)
    server.serve("1.0", "2.0")
    server.management.unregister("tiny", "1.0")
    return Looks(server, clock, LeftOutVersions(lines), lines)


def test_it_is_loaded_again(looks: Looks) -> None:
    assert looks.after(0) == []
    assert looks.after(FIRST_RETRY) == [("register", "tiny-1.0.mar")]
    assert looks.server.registered() == ["1.0", "2.0"]
    assert looks.after(FIRST_RETRY) == []


def test_one_that_still_does_not_load_is_tried_again_after_longer_pauses(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise UpstreamUnavailable("There is no space.")

    with monkeypatch.context() as while_it_fails:
        while_it_fails.setattr(looks.server.management, "register", refuse)
        looks.after(0)
        looks.after(FIRST_RETRY)
    assert looks.reports[-1] == "tiny 1.0 is left out: There is no space."
    assert looks.after(FIRST_RETRY) == []
    assert looks.after(FIRST_RETRY) == [("register", "tiny-1.0.mar")]


def test_one_that_torchserve_has_without_a_worker_gets_one(looks: Looks) -> None:
    looks.server.management.scale("tiny", "2.0", 0)
    looks.after(0)
    assert ("scale", "tiny", "2.0", 1) in looks.after(FIRST_RETRY)


def test_one_that_is_to_have_no_worker_is_left_alone(looks: Looks) -> None:
    state = looks.server.state
    state.models["tiny"].versions["1.0"] = state.models["tiny"].versions["1.0"].model_copy(update={"workers": 0})
    looks.server.save(state)
    looks.after(0)
    assert looks.after(FIRST_RETRY) == []


def test_one_whose_change_was_interrupted_is_left_to_that_change(looks: Looks) -> None:
    looks.server.journal.begin(Operation(kind="retire", model="tiny", version="1.0"))
    looks.after(0)
    assert looks.after(FIRST_RETRY) == []


def test_nothing_is_loaded_while_a_command_changes_the_server(looks: Looks) -> None:
    looks.after(0)
    with looks.server.locked("retire 2.0"), pytest.raises(ServerBusy, match=r"retire 2\.0"):
        looks.after(FIRST_RETRY)
    assert looks.after(0) == [("register", "tiny-1.0.mar")]
