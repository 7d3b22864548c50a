"""The second opinion, by the real picklescan."""

import io
import pickle
from pathlib import Path

import pytest

from adapter.archives import scan
from adapter.archives.scan import ScanError, scan_archive
from tests.adapter.archives.crafted_zip import Member, members_of, zip_bytes
from tests.adapter.archives.repacking import put, repack


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("it ran",)


def with_entry(archive: Path, name: str, content: bytes) -> Path:
    repack(archive, put(name, content))
    return archive


def test_an_archive_as_it_was_packed_has_no_pickle(archive: Path) -> None:
    assert scan_archive(archive) == "picklescan: no pickles"


@pytest.mark.parametrize("name", ["model/weights.pkl", "model/model-2.safetensors", "handlers/extra.py"])
def test_a_pickle_is_found_whatever_it_is_called(archive: Path, name: str) -> None:
    content = pickle.dumps(Hostile(), protocol=4)
    with pytest.raises(ScanError, match=r"holds 1 pickles, which call builtins\.print"):
        scan_archive(with_entry(archive, name, content))


def test_a_pickle_that_calls_nothing_is_one_too(archive: Path) -> None:
    with pytest.raises(ScanError, match="no global"):
        scan_archive(with_entry(archive, "model/list.pkl", pickle.dumps([1, 2], protocol=4)))


def test_an_entry_that_the_scanner_passes_over_has_not_been_scanned(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = Member(b"model/weights.pkl", pickle.dumps(Hostile(), protocol=4))
    pickled.both(method=97)  # a compression that zipfile does not know, as the strict reader finds before
    archive.write_bytes(zip_bytes([*members_of(archive), pickled]))
    monkeypatch.setattr(scan, "read_entries", list)
    with pytest.raises(ScanError, match=r"cannot be scanned: .*weights\.pkl"):
        scan_archive(archive)


def test_a_scanner_that_finds_nothing_in_what_is_known_to_be_bad_passes_nothing(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_BAD_PICKLE", b"no pickle")
    with pytest.raises(ScanError, match="nobody has looked"):
        scan_archive(archive)


def test_what_is_hidden_from_the_scanner_has_not_been_scanned(archive: Path) -> None:
    pickled = Member(b"model/weights.pkl", pickle.dumps(Hostile(), protocol=4))
    both = [*members_of(archive), pickled]
    image = zip_bytes(both)
    without_its_name = zip_bytes(both[:-1], before_directory=image[len(zip_bytes(both[:-1])) :][: len(pickled.content)])
    archive.write_bytes(without_its_name)
    with pytest.raises(ScanError, match="cannot be scanned: what follows byte"):
        scan_archive(archive)


def test_what_cannot_be_read_has_not_been_scanned(tmp_path: Path) -> None:
    file = tmp_path / "broken.mar"
    file.write_bytes(io.BytesIO(b"\x80\x04 no pickle, no zip").getvalue())
    with pytest.raises(ScanError):
        scan_archive(file)


def test_without_the_scanner_nothing_passes(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "find_spec", lambda _: None)
    with pytest.raises(ScanError, match="pip install picklescan"):
        scan_archive(archive)
