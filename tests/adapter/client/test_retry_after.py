import pytest

from adapter.client.retry_after import retry_after_seconds

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT: RFC 9110's own example


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.client.retry_after.time.time", lambda: NOW - 90)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 90),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 90),
        ("Sun Nov  6 08:49:37 1994", 90),
        ("Sun, 06 Nov 1994 08:48:06 GMT", 0),
    ],
)
def test_seconds_and_dates_are_seconds(header: str, seconds: int) -> None:
    assert retry_after_seconds(header) == seconds


@pytest.mark.parametrize(
    "header",
    ["", "soon", "-1", "1.5", "1e3", "+5", "5, 6", "٣", "Sun, 99 Nov 1994 08:49:37 GMT", "9" * 5_000],
    ids=lambda header: header[:30] or "empty",
)
def test_what_is_neither_is_none(header: str) -> None:
    assert retry_after_seconds(header) is None


def test_a_part_of_a_second_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.client.retry_after.time.time", lambda: NOW - 0.5)
    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 1
