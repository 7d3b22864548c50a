"""Compiled steps of shapes that nobody serves any more do not stay for ever."""

import os
from pathlib import Path

import pytest

from handlers.steps_on_disk import MOST_KEPT, keep, note_use


def write(directory: Path, used_at: float | None = None) -> Path:
    directory.mkdir(parents=True)
    (directory / "one_row.so").write_bytes(b"steps")
    if used_at is not None:
        os.utime(directory, (used_at, used_at))
    return directory


@pytest.fixture
def full(tmp_path: Path) -> list[Path]:
    """As many as are kept, the least recently used one first."""
    return [write(tmp_path / "steps" / str(number), used_at=1_000 + number) for number in range(MOST_KEPT)]


def test_the_least_recently_used_goes_when_a_new_one_comes(full: list[Path], tmp_path: Path) -> None:
    note_use(full[0])
    target = tmp_path / "steps" / "new"

    keep(write(tmp_path / "written"), target)

    assert set(target.parent.iterdir()) == {target, *full} - {full[1]}


def test_what_is_being_made_and_what_is_not_ours_stays(full: list[Path], tmp_path: Path) -> None:
    others = [write(tmp_path / "steps" / ".compiling-1", used_at=1), tmp_path / "steps" / "photos"]
    others[1].mkdir()
    os.utime(others[1], (1, 1))
    target = tmp_path / "steps" / "new"

    keep(write(tmp_path / "written"), target)

    assert set(target.parent.iterdir()) == {target, *full, *others} - {full[0]}


def test_what_another_process_has_made_meanwhile_is_taken(tmp_path: Path) -> None:
    target = write(tmp_path / "steps" / "same")
    (target / "one_row.so").write_bytes(b"the other's")

    keep(write(tmp_path / "written"), target)

    assert (target / "one_row.so").read_bytes() == b"the other's"


def test_a_failure_to_install_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keep(write(tmp_path / "written"), tmp_path / "nowhere" / "new")


def test_a_library_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, target = tmp_path / ".written", tmp_path / "steps"
    written.mkdir()
    libraries = {written / name for name in ("one_row.so", "more_rows.so")}
    for library in libraries:
        library.write_bytes(b"code")
    synced: dict[Path, bool] = {}

    def fsync(descriptor: int) -> None:
        synced[Path(f"/proc/self/fd/{descriptor}").readlink()] = target.exists()

    monkeypatch.setattr(os, "fsync", fsync)

    keep(written, target)

    assert synced == dict.fromkeys({*libraries, written}, False)
    assert list(synced)[-1] == written
    assert (target / "one_row.so").is_file()
