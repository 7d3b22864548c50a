"""What was written whole is whole, whenever the writer ends."""

import os
from pathlib import Path

import pytest

from adapter.durable import replacement
from adapter.durable.replacement import PRIVATE, SHARED, write_durably


def fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_it_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "versions.json"
    for content in (b"a longer first one", b"second"):
        write_durably(path, content)
        assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["versions.json"]


@pytest.mark.parametrize(("mode", "expected"), [(PRIVATE, 0o600), (SHARED, 0o640)], ids=["private", "shared"])
def test_the_umask_counts_for_what_others_may_read(tmp_path: Path, mode: int, expected: int) -> None:
    umask = os.umask(0o027)
    try:
        write_durably(tmp_path / "versions.json", b"all", mode)
    finally:
        os.umask(umask)
    assert (tmp_path / "versions.json").stat().st_mode & 0o777 == expected


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "versions.json"
    path.write_bytes(b"before")
    monkeypatch.setattr(*((replacement.os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="needs more space"):
        write_durably(path, b"after")
    monkeypatch.undo()
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["versions.json"]


def test_the_content_is_on_the_disk_before_its_name_is_and_then_the_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        done.append("directory" if Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path else "content")
        fsync(descriptor)

    def watched_replace(path: Path, target: Path) -> Path:
        done.append("name")
        return replace(path, target)

    monkeypatch.setattr(replacement.os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_durably(tmp_path / "versions.json", b"all")
    assert done == ["content", "name", "directory"]
