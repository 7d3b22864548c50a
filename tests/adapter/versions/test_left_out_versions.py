"""What a start had to leave out is loaded as soon as it can be, and what a command is about to change is not."""

import pytest

from adapter.errors import UpstreamUnavailable
from adapter.versions import left_out_versions
from adapter.versions.errors import ServerBusy
from adapter.versions.journal import Operation
from adapter.versions.left_out_versions import LeftOutVersions
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines

FIRST_RETRY = 30.0


class Watched:
    """LeftOutVersions of `server`, by `clock`, and what it reports."""

    def __init__(self, server: FakeServer, clock: Clock) -> None:
        self.server, self.clock, self.reports = server, clock, Lines()
        self._left_out = LeftOutVersions(self.reports)

    def look_after(self, seconds: float) -> list[tuple[object, ...]]:
        """The changes that this look has made."""
        self.clock.sleep(seconds)
        self.server.management.changes.clear()
        self._left_out.look(self.server)
        return list(self.server.management.changes)


@pytest.fixture
def watched(server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Of a server that was started without its version 1.0."""
    monkeypatch.setattr(left_out_versions, "time", clock)
    server.serve("1.0", "2.0")
    server.management.unregister("tiny", "1.0")
    return Watched(server, clock)


def test_it_is_loaded_again(watched: Watched) -> None:
    assert watched.look_after(0) == []
    assert watched.look_after(FIRST_RETRY) == [("register", "tiny-1.0.mar")]
    assert watched.server.registered() == ["1.0", "2.0"]
    assert watched.look_after(FIRST_RETRY) == []


def test_one_that_still_does_not_load_is_tried_again_after_longer_pauses(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise UpstreamUnavailable("There is no space.")

    with monkeypatch.context() as while_it_fails:
        while_it_fails.setattr(watched.server.management, "register", refuse)
        watched.look_after(0)
        watched.look_after(FIRST_RETRY)
    assert watched.reports[-1] == "tiny 1.0 is left out: There is no space."
    assert watched.look_after(FIRST_RETRY) == []
    assert watched.look_after(FIRST_RETRY) == [("register", "tiny-1.0.mar")]


def test_one_that_torchserve_has_without_a_worker_gets_one(watched: Watched) -> None:
    watched.server.management.scale("tiny", "2.0", 0)
    watched.look_after(0)
    assert ("scale", "tiny", "2.0", 1) in watched.look_after(FIRST_RETRY)


def test_one_that_is_to_have_no_worker_is_left_alone(watched: Watched) -> None:
    state = watched.server.state
    state.models["tiny"].versions["1.0"] = state.models["tiny"].versions["1.0"].model_copy(update={"workers": 0})
    watched.server.save(state)
    watched.look_after(0)
    assert watched.look_after(FIRST_RETRY) == []


def test_one_whose_change_was_interrupted_is_left_to_that_change(watched: Watched) -> None:
    watched.server.journal.begin(Operation(kind="retire", model="tiny", version="1.0"))
    watched.look_after(0)
    assert watched.look_after(FIRST_RETRY) == []


def test_nothing_is_loaded_while_a_command_changes_the_server(watched: Watched) -> None:
    watched.look_after(0)
    with watched.server.locked("retire 2.0"), pytest.raises(ServerBusy, match=r"retire 2\.0"):
        watched.look_after(FIRST_RETRY)
    assert watched.look_after(0) == [("register", "tiny-1.0.mar")]
