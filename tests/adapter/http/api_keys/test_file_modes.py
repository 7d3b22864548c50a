"""A file of keys is its user's alone, or root's who hands it to a service."""

import os
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from adapter.http import api_keys
from adapter.http.api_keys import ApiKeys, ApiKeysError
from tests.adapter.http.api_keys.known_keys import FIRST, SECOND, UNNAMED_FIRST

MODES = [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o644, False), (0o620, False)]


@pytest.mark.parametrize(("mode", "is_taken"), MODES)
def test_a_file_that_others_can_open_is_refused(file: Path, mode: int, *, is_taken: bool) -> None:
    file.chmod(mode)
    with nullcontext() if is_taken else pytest.raises(ApiKeysError, match=r"open to other users .*: chmod 600 it"):
        ApiKeys(file)


@pytest.mark.parametrize(("mode", "is_taken"), [*MODES[:2], (0o640, True), (0o440, True), *MODES[3:]])
def test_a_group_may_read_what_root_hands_to_a_service(
    file: Path, mode: int, monkeypatch: pytest.MonkeyPatch, *, is_taken: bool
) -> None:
    owned_by(0, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    file.chmod(mode)
    with nullcontext() if is_taken else pytest.raises(ApiKeysError, match=r"open to other users .*: chmod 600 it"):
        ApiKeys(file)


def test_another_users_file_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned_by(1001, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ApiKeysError, match="belongs to another user"):
        ApiKeys(file)


@pytest.mark.usefixtures("looks_every_time")
def test_a_file_that_is_opened_to_others_later_leaves_the_keys_as_they_were(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys(file)
    file.write_text(SECOND)
    file.chmod(0o644)

    assert [keys.name_of(FIRST.encode()), keys.name_of(SECOND.encode())] == [UNNAMED_FIRST, None]
    assert "is open to other users of this machine: chmod 600 it" in caplog.text


def owned_by(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can give a file away: what the system says of it is changed instead."""
    fstat = os.fstat

    def fstat_of_another(descriptor: int) -> os.stat_result:
        status = list(fstat(descriptor))
        status[stat.ST_UID] = user
        return os.stat_result(status)

    monkeypatch.setattr(api_keys.os, "fstat", fstat_of_another)
