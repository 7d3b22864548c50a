"""Disks that are full: a file system of a megabyte where this may mount one, and what the system says in its place."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.durable.disk_space import DiskFull, expect_space, full_disk_in_words, is_full_disk
from adapter.durable.replacement import write_durably
from adapter.versions.journal import Journal, Operation, Step
from adapter.versions.model_store import ModelStore
from tests.full_disk import fill, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 2**20) as disk:
        yield disk


def test_what_fits_is_not_spoken_of(tmp_path: Path) -> None:
    expect_space("tiny 2.0", (tmp_path / "not" / "there" / "yet", 1))


def test_what_does_not_fit_is_said_with_what_is_free(disk: Path) -> None:
    with pytest.raises(DiskFull, match=rf"^tiny 2\.0 needs 2\.\d MB in {disk}, 1\.0 MB are free\.$") as raised:
        expect_space("tiny 2.0", (disk / "model_store", 2_000_000), (disk / "tmp", 99_999))
    assert is_full_disk(raised.value)


def test_what_goes_to_one_disk_adds_up_and_what_goes_to_another_does_not(disk: Path, tmp_path: Path) -> None:
    expect_space("tiny 2.0", (disk, 900_000), (tmp_path, 900_000))
    with pytest.raises(DiskFull):
        expect_space("tiny 2.0", (disk, 900_000), (disk / "tmp", 900_000))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_the_system_says_later_is_said_in_the_same_words(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(DiskFull, match=rf"^versions\.json needs more space in {tmp_path}, .+ are free\.$"),
        full_disk_in_words("versions.json", tmp_path),
    ):
        raise OSError(number, os.strerror(number))


def test_another_failure_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), full_disk_in_words("versions.json", tmp_path):
        raise PermissionError


def test_a_full_disk_leaves_the_content_of_before(disk: Path) -> None:
    path = disk / "versions.json"
    write_durably(path, b"before")
    fill(disk)
    with pytest.raises(DiskFull):
        write_durably(path, b"after" * 1_000)
    assert path.read_bytes() == b"before"
    assert sorted(each.name for each in disk.iterdir()) == ["filler", "versions.json"]


def test_a_journal_that_finds_no_space_says_so_and_is_read_as_before(disk: Path) -> None:
    journal = Journal(disk / "journal.jsonl")
    operation = Operation(kind="promote", model="tiny", version="2.0")
    journal.begin(operation)
    fill(disk)

    def write_until_the_last_block_is_full() -> None:
        for _ in range(1_000):
            journal.step(operation, Step.PROMOTE)

    with pytest.raises(DiskFull, match="the journal needs more space"):
        write_until_the_last_block_is_full()
    found = journal.unfinished()
    assert found is not None
    assert found.operation == operation


def test_a_copy_that_does_not_fit_leaves_nothing(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny-2.0.mar").write_bytes(bytes(1_500_000))
    with pytest.raises(DiskFull, match=r"tiny-2\.0\.mar needs 1\.5 MB"):
        ModelStore(disk / "model_store").stage(tmp_path / "tiny-2.0.mar", "tiny-2.0.mar")
    assert [each for each in disk.rglob("*") if each.is_file()] == []


def test_a_disk_that_fills_while_it_is_copied_leaves_nothing(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny-2.0.mar").write_bytes(bytes(800_000))
    monkeypatch.setattr("adapter.versions.model_store.expect_space", lambda *_: fill(disk))
    with pytest.raises(DiskFull, match=r"tiny-2\.0\.mar needs more space"):
        ModelStore(disk / "model_store").stage(tmp_path / "tiny-2.0.mar", "tiny-2.0.mar")
    assert [each.name for each in disk.rglob("*") if each.is_file()] == ["filler"]


def test_keys_that_find_no_space_leave_no_half_a_key(disk: Path) -> None:
    fill(disk)
    with pytest.raises(DiskFull, match=r"release\.pub needs more space"):
        create_key_pair(disk / "release")
    assert [each.name for each in disk.iterdir()] == ["filler"]


def test_a_signature_that_finds_no_space_leaves_the_one_of_before(disk: Path, tmp_path: Path) -> None:
    archive = disk / "tiny-1.0.mar"
    archive.write_bytes(b"archive")
    first, second = (load_private_key(create_key_pair(tmp_path / name)[0]) for name in ("first", "second"))
    signature = sign_file(archive, first)
    before = signature.read_bytes()
    fill(disk)
    with pytest.raises(DiskFull, match=r"tiny-1\.0\.mar\.sig needs more space"):
        sign_file(archive, second)
    assert signature.read_bytes() == before


def test_an_own_small_disk_is_one(disk: Path) -> None:
    assert disk.stat().st_dev != disk.parent.stat().st_dev
    assert subprocess.run(["mountpoint", "-q", str(disk)], check=False).returncode == 0
