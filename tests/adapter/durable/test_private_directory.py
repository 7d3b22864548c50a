"""Nobody else looks into a run directory, or has put things there."""

import os
from pathlib import Path

import pytest

from adapter.durable.private_directory import NotPrivate, claim_directory


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_new_one_is_its_users_alone(tmp_path: Path) -> None:
    claim_directory(tmp_path / "deep" / "run")
    assert mode(tmp_path / "deep" / "run") == 0o700


@pytest.mark.parametrize("earlier", [0o755, 0o750, 0o711])
def test_one_that_others_could_only_read_is_closed_to_them(earlier: int, tmp_path: Path) -> None:
    tmp_path.chmod(earlier)
    claim_directory(tmp_path)
    assert mode(tmp_path) == 0o700


@pytest.mark.parametrize("earlier", [0o777, 0o775, 0o1777, 0o2770])
def test_one_that_others_could_write_is_refused_and_left_as_it_is(earlier: int, tmp_path: Path) -> None:
    tmp_path.chmod(earlier)
    with pytest.raises(NotPrivate, match=r"Other users may write .*look through it, then chmod 700 it"):
        claim_directory(tmp_path)
    assert mode(tmp_path) == earlier


def test_another_users_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(NotPrivate, match=rf"belongs to another user \(number {owner}; this is {owner + 1}\)"):
        claim_directory(tmp_path)
