"""The server's own archives: they come whole or not at all."""

import shutil
from pathlib import Path

import pytest

from adapter.archives.signature_paths import signature_path
from adapter.versions.model_store import ModelStore

NAME = "tiny-1.0.mar"
SIGNATURE = signature_path(Path(NAME)).name


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "model_store")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A signed archive, by another name than it has in the store."""
    source = tmp_path / "release.mar"
    source.write_bytes(b"archive")
    signature_path(source).write_bytes(b"signature")
    return source


def held(store: ModelStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.directory.iterdir() if path.is_file()}


def test_a_staged_archive_is_a_whole_copy_that_is_not_in_the_store_yet(store: ModelStore, source: Path) -> None:
    staged = store.stage(source, NAME)
    assert (staged.name, staged.read_bytes()) == (NAME, b"archive")
    assert signature_path(staged).read_bytes() == b"signature"
    assert held(store) == {}
    assert list(store.directory.glob("*.mar")) == []


def test_what_is_installed_has_its_signature_and_leaves_no_copy(store: ModelStore, source: Path) -> None:
    store.install(store.stage(source, NAME))
    assert held(store) == {NAME: b"archive", SIGNATURE: b"signature"}
    assert [path.name for path in store.directory.iterdir() if path.is_dir()] == []
    assert source.exists()


def test_the_signature_is_there_before_the_archive_is(
    store: ModelStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, names = Path.replace, []

    def watched(path: Path, target: Path) -> Path:
        names.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    store.install(store.stage(source, NAME))
    assert names == [signature_path(Path(NAME)).name, NAME]


def test_an_archive_without_a_signature_does_not_get_that_of_the_one_before(store: ModelStore, source: Path) -> None:
    store.install(store.stage(source, NAME))
    signature_path(source).unlink()
    source.write_bytes(b"another")
    store.install(store.stage(source, NAME))
    assert held(store) == {NAME: b"another"}


def test_the_same_archive_without_its_signature_keeps_the_one_that_lies_there(store: ModelStore, source: Path) -> None:
    store.install(store.stage(source, NAME))
    signature_path(source).unlink()
    store.install(store.stage(source, NAME))
    assert held(store) == {NAME: b"archive", SIGNATURE: b"signature"}


def test_the_same_archive_with_another_signature_gets_that_one(store: ModelStore, source: Path) -> None:
    store.install(store.stage(source, NAME))
    signature_path(source).write_bytes(b"another")
    store.install(store.stage(source, NAME))
    assert held(store) == {NAME: b"archive", SIGNATURE: b"another"}


def test_a_signature_whose_archive_is_gone_is_not_left_to_the_next_one(store: ModelStore, source: Path) -> None:
    store.install(store.stage(source, NAME))
    store.path(NAME).unlink()
    signature_path(source).unlink()
    store.install(store.stage(source, NAME))
    assert held(store) == {NAME: b"archive"}


def test_what_is_removed_takes_its_signature_along_and_may_be_removed_again(store: ModelStore, source: Path) -> None:
    store.install(store.stage(source, NAME))
    store.install(store.stage(source, "tiny-2.0.mar"))
    for _ in range(2):
        store.remove(NAME)
        assert sorted(held(store)) == ["tiny-2.0.mar", SIGNATURE.replace("1.0", "2.0")]


def test_what_a_killed_command_staged_is_cleared_by_the_next(store: ModelStore, source: Path) -> None:
    left = store.stage(source, "tiny-9.0.mar")
    staged = store.stage(source, NAME)
    assert not left.exists()
    assert staged.exists()
    store.clear_staging()
    store.clear_staging()
    assert list(store.directory.iterdir()) == []


@pytest.mark.parametrize("failing", [NAME, SIGNATURE], ids=["archive", "signature"])
def test_a_copy_that_fails_midway_leaves_nothing_in_the_store(
    store: ModelStore, source: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    copyfile = shutil.copyfile

    def fail_midway(source: Path, target: Path) -> None:
        copyfile(source, target)
        if target.name == failing:
            target.write_bytes(b"arch")
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapter.versions.model_store.shutil.copyfile", fail_midway)
    with pytest.raises(OSError, match="needs more space"):
        store.stage(source, NAME)
    assert held(store) == {}
    assert list(store.directory.glob("*.mar*")) == []
    monkeypatch.undo()
    store.install(store.stage(source, NAME))
    assert held(store)[NAME] == b"archive"


def test_a_source_that_is_not_there_leaves_nothing_in_the_store(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.stage(tmp_path / "absent.mar", NAME)
    assert held(store) == {}
