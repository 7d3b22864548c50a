from dataclasses import dataclass, field

import pytest

from adapter.http.connection_limit import ConnectionLimit


@dataclass(eq=False)
class FakeConnection:
    address: str
    gone: list["FakeConnection"] = field(repr=False)

    def give_way(self) -> None:
        self.gone.append(self)


@pytest.fixture
def gone() -> list[FakeConnection]:
    return []


def connections(limit: ConnectionLimit, gone: list[FakeConnection], *addresses: str) -> list[FakeConnection]:
    opened = [FakeConnection(address, gone) for address in addresses]
    assert all(limit.admit(connection) for connection in opened)
    return opened


def test_the_one_that_was_silent_longest_gives_way(gone: list[FakeConnection]) -> None:
    limit = ConnectionLimit(4)
    first, second, *_ = connections(limit, gone, "a", "b", "c", "d")
    limit.waits(first)
    connections(limit, gone, "e")
    assert gone == [second]


def test_who_has_a_whole_request_never_gives_way(gone: list[FakeConnection]) -> None:
    limit = ConnectionLimit(2)
    for connection in connections(limit, gone, "a", "b"):
        limit.works(connection)
    assert not limit.admit(FakeConnection("c", gone))
    assert gone == []


def test_an_address_with_more_than_half_displaces_its_own(gone: list[FakeConnection]) -> None:
    limit = ConnectionLimit(4)
    _, crowd, *_ = connections(limit, gone, "a", "b", "b", "b")
    connections(limit, gone, "b")
    assert gone == [crowd]


def test_one_address_may_have_every_connection(gone: list[FakeConnection]) -> None:
    connections(ConnectionLimit(100), gone, *["proxy"] * 100)
    assert gone == []


def test_a_limit_that_is_reached_is_said_once_and_once_more_when_it_is_over(
    gone: list[FakeConnection], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    limit = ConnectionLimit(4)
    opened = connections(limit, gone, *"abcdefgh")
    for connection in opened:
        limit.closed(connection)
    begin, end = caplog.messages
    assert begin.startswith("4 connections are open, and no more can be")
    assert end == "there is room for connections again: 4 gave way, 0 were refused"
