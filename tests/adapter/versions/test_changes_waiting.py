"""What runs on a version is waited for, and nothing else: by a clock of our own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.control.messages import HOLD_SECONDS
from adapter.versions.changes import hold_until_empty, wait_until_left
from adapter.versions.errors import DrainTimeout
from tests.adapter.versions.fake_server import Clock, FakeServer

FOR_EVER = 10_000


@pytest.fixture
def live(server: FakeServer) -> list[float]:
    """When what runs on tiny 1.0 began."""
    server.serve("1.0", "2.0")
    return server.gateway.live.setdefault(("tiny", "1.0"), [])


def left(server: FakeServer, since: float, timeout: float = 60) -> bool:
    return wait_until_left(server, "tiny", "1.0", since, timeout)


def test_a_version_on_which_nothing_runs_has_been_left(server: FakeServer, live: list[float], clock: Clock) -> None:
    assert live == []
    assert left(server, clock.now, 0)
    assert wait_until_left(server, "tiny", "9.0", clock.now, 0)


def test_who_comes_later_is_not_waited_for(server: FakeServer, live: list[float], clock: Clock) -> None:
    since = clock.now
    live.append(since + 1)
    clock.now += 2
    assert left(server, since, 0)


@pytest.mark.parametrize("before", [0, 0.001, 30])
def test_who_came_before_is_waited_for(server: FakeServer, live: list[float], clock: Clock, before: float) -> None:
    since = clock.now
    live.append(since - before)
    clock.after(20, live.clear)
    assert left(server, since)
    assert clock.now >= since + 20


def test_what_does_not_end_is_given_up(server: FakeServer, live: list[float], clock: Clock) -> None:
    since = clock.now
    live.append(since)
    assert not left(server, since)
    assert since + 60 <= clock.now < since + 61


@contextmanager
def crowded(requests: list[tuple[int, int]], clock: Clock) -> Iterator[tuple[FakeServer, list[float]]]:
    """Each request begins that long before or after now, and lasts that long."""
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr("adapter.versions.changes.time", clock)
        server = FakeServer(Path(directory) / "run", clock)
        server.serve("1.0", "2.0")
        live = server.gateway.live["tiny", "1.0"] = []
        for begins, lasts in requests:
            began = clock.now + begins
            if begins <= 0:
                live.append(began)
            else:
                clock.after(begins, partial(live.append, began))
            clock.after(max(0, begins) + lasts, partial(live.remove, began))
        yield server, live


request_before = st.tuples(st.integers(-20, 0), st.integers(1, 40))
request_after = st.tuples(st.integers(1, 20), st.just(FOR_EVER))


@settings(max_examples=50)
@given(requests=st.lists(request_before | request_after, max_size=6), seconds_to_answer=st.sampled_from([0, 1, 30]))
def test_it_waits_for_all_who_came_before_and_for_nobody_else(
    requests: list[tuple[int, int]], seconds_to_answer: float
) -> None:
    clock = Clock()
    since = clock.now
    with crowded(requests, clock) as (server, live):
        server.gateway.seconds_to_answer = seconds_to_answer
        assert left(server, since, FOR_EVER)
    assert [began for began in live if began <= since] == []
    assert clock.now < since + FOR_EVER / 2


# A hold


def hold(server: FakeServer, timeout: float = 60) -> None:
    hold_until_empty(server, "tiny", "1.0", timeout)


def test_an_empty_version_is_held_for_a_whole_term(server: FakeServer, live: list[float], clock: Clock) -> None:
    assert live == []
    server.gateway.seconds_to_answer = 3
    hold(server, 0)
    assert server.gateway.held_until["tiny", "1.0"] == clock.now + HOLD_SECONDS


def test_a_hold_does_not_lapse_however_long_it_takes(
    server: FakeServer, live: list[float], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep, since = clock.sleep, clock.now

    def expect_held(seconds: float) -> None:
        sleep(seconds)
        assert server.gateway.is_held("tiny", "1.0")

    monkeypatch.setattr(clock, "sleep", expect_held)
    live.append(since)
    clock.after(5 * HOLD_SECONDS, live.clear)
    hold(server)
    assert clock.now >= since + 5 * HOLD_SECONDS
    assert server.gateway.held_until["tiny", "1.0"] == clock.now + HOLD_SECONDS


def test_a_version_that_does_not_empty_is_let_go(server: FakeServer, live: list[float]) -> None:
    live += [0.0, 1.0]
    with pytest.raises(DrainTimeout, match=r"^2 requests still run on tiny 1\.0 after 5 seconds: it stays as it is"):
        hold(server, 5)
    assert server.gateway.calls[-1] == "release"
    assert not server.gateway.is_held("tiny", "1.0")


def test_what_waits_in_torchserve_counts(server: FakeServer, live: list[float], clock: Clock) -> None:
    assert live == []
    since, server.management.queued = clock.now, 1
    clock.after(20, lambda: setattr(server.management, "queued", 0))
    hold(server)
    assert clock.now >= since + 20


def test_what_waits_in_torchserve_for_a_worker_that_is_lost_does_not_count(
    server: FakeServer, live: list[float], clock: Clock
) -> None:
    assert live == []
    since, server.management.queued = clock.now, 1
    server.management.models["tiny"]["1.0"] = [False]
    hold(server)
    assert clock.now == since


def test_a_version_that_the_gateway_does_not_know_is_empty(server: FakeServer, live: list[float], clock: Clock) -> None:
    assert live == []
    since = clock.now
    hold_until_empty(server, "tiny", "9.0", 60)
    assert clock.now == since
