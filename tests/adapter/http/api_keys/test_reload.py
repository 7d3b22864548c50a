"""A file of keys that changes while they are used."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.http.api_keys import ApiKeys
from tests.adapter.http.api_keys.known_keys import FIRST, SECOND, UNNAMED_FIRST, UNNAMED_SECOND
from tests.held_clock import HeldClock


def rewrite(file: Path, text: str) -> None:
    file.write_text(text)


def replace(file: Path, text: str) -> None:
    other = file.with_name("other")
    other.touch(0o600)
    other.write_text(text)
    other.rename(file)


def rewrite_in_the_past(file: Path, text: str) -> None:
    status = file.stat()
    file.write_text(text)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.usefixtures("looks_every_time")
@pytest.mark.parametrize("change", [rewrite, replace, rewrite_in_the_past])
def test_a_changed_file_brings_new_keys_and_ends_the_old_ones(file: Path, change: Callable[[Path, str], None]) -> None:
    keys = ApiKeys(file)
    change(file, SECOND)

    assert (keys.name_of(FIRST.encode()), keys.name_of(SECOND.encode())) == (None, UNNAMED_SECOND)


@pytest.mark.usefixtures("looks_every_time")
@pytest.mark.parametrize("content", ["short", f"{SECOND},short", None], ids=["wrong", "half wrong", "missing"])
def test_a_file_that_cannot_be_used_leaves_the_keys_as_they_were(
    file: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys(file)
    file.unlink() if content is None else file.write_text(content)

    assert [keys.name_of(FIRST.encode()), keys.name_of(SECOND.encode())] == [UNNAMED_FIRST, None]
    assert [message.partition(":")[0] for message in caplog.messages] == ["the API keys stay as they were"]


@pytest.mark.usefixtures("looks_every_time")
def test_a_file_that_comes_back_is_read_again(file: Path) -> None:
    keys = ApiKeys(file)
    file.unlink()
    keys.name_of(FIRST.encode())
    file.touch(0o600)
    file.write_text(SECOND)

    assert keys.name_of(SECOND.encode()) == UNNAMED_SECOND


@pytest.mark.usefixtures("looks_every_time")
def test_an_emptied_file_refuses_everybody(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = ApiKeys(file)
    file.write_text("# none\n")

    assert keys.name_of(FIRST.encode()) is keys.name_of(b"") is None
    assert caplog.messages == ["the API keys were read again: 0 of them"]


def test_a_file_is_looked_at_once_a_second(clock: HeldClock, file: Path) -> None:
    keys = ApiKeys(file)
    seen = []
    for key in (SECOND, FIRST):
        file.write_text(key)
        for _ in range(2):
            clock.move(0.5)
            seen.append(keys.name_of(FIRST.encode()))

    assert seen == [UNNAMED_FIRST, None, None, UNNAMED_FIRST]
