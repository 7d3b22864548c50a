"""What an archive says of itself, whoever wrote it."""

from pathlib import Path

import pytest

from adapter.archives.archive_reader import ArchiveError, read_bill_of_materials, read_manifest, read_record, unpack
from tests.adapter.archives.crafted_zip import members_of
from tests.adapter.archives.repacking import Contents, contents_of, drop, edit_record, put, repack, write_contents
from tests.frozen_archives import CHAT, PLAIN

BOM = "MAR-INF/bom.cdx.json"


@pytest.mark.parametrize("archive", [PLAIN, CHAT], ids=lambda path: path.stem)
def test_an_archive_that_was_packed_long_ago_is_read(archive: Path) -> None:
    record = read_record(archive)
    assert archive.name == record.file_name
    assert read_manifest(archive).model.name == record.name
    assert read_bill_of_materials(archive).encode() == contents_of(archive)[BOM]


def test_an_archive_is_unpacked_to_the_files_that_it_holds(archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / "unpacked"
    directory.mkdir()
    unpack(archive, directory)
    unpacked = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    contents = contents_of(archive)
    assert unpacked == contents.keys()
    assert all((directory / name).read_bytes() == content for name, content in contents.items())


def test_what_has_changed_is_not_unpacked(archive: Path, tmp_path: Path) -> None:
    weights = next(member for member in members_of(archive) if member.name.endswith(b".safetensors"))
    archive.write_bytes(archive.read_bytes().replace(weights.content, bytes(len(weights.content))))
    with pytest.raises(ArchiveError, match=r"model/model\.safetensors: its content has changed"):
        unpack(archive, tmp_path)


@pytest.mark.parametrize(
    "bill",
    [
        pytest.param(b"\xff", id="no text"),
        pytest.param(b'"\x1b[2K"\n', id="what ends a terminal's line"),
        pytest.param(b"[" * 100_000, id="no end"),
        pytest.param(b"{ }\n", id="another form"),
    ],
)
def test_a_bill_of_materials_that_could_not_be_shown_is_refused(archive: Path, bill: bytes) -> None:
    repack(archive, put(BOM, bill))
    with pytest.raises(ArchiveError, match="has a bill of materials that torchbridge did not write"):
        read_bill_of_materials(archive)


def test_a_missing_bill_of_materials_is_said_to_be_missing(archive: Path) -> None:
    repack(archive, drop(BOM))
    with pytest.raises(ArchiveError, match="has no bill of materials"):
        read_bill_of_materials(archive)


def test_a_file_of_a_size_that_no_file_has_makes_no_record(archive: Path) -> None:
    def grow(contents: Contents) -> None:
        edit_record(contents, lambda record: record["files"][BOM].update(size=10**400))

    contents = contents_of(archive)
    grow(contents)
    write_contents(archive, contents)
    with pytest.raises(ArchiveError, match="is not a record that torchbridge writes"):
        read_record(archive)


def test_a_directory_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="Is a directory"):
        read_record(tmp_path)
