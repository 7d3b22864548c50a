"""An archive's bytes follow from its entries alone."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from adapter.archives.zip_writer import Source, SourceChanged, record_of, write_zip

# Of the archive below, on every Python, system and machine.
DIGEST = "451c453204547e2939227cdea0c537453f0c0cf7fcc0ab8732a04c261e3a4fb9"


def write(path: Path, sources: dict[str, Source]) -> Path:
    write_zip(path, sources, {name: record_of(source) for name, source in sources.items()}, lambda _: None)
    return path


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(range(256)) * 20_000)  # more than a block
    return {"model/model.safetensors": weights, "MAR-INF/RECORD.json": b"{}\n", "adapter/__init__.py": b""}


def test_the_bytes_are_the_same_everywhere(sources: dict[str, Source], tmp_path: Path) -> None:
    assert hashlib.sha256(write(tmp_path / "a.mar", sources).read_bytes()).hexdigest() == DIGEST


def test_everything_is_stored_in_order_and_readable_by_all(sources: dict[str, Source], tmp_path: Path) -> None:
    with zipfile.ZipFile(write(tmp_path / "a.mar", sources)) as archive:
        entries = archive.infolist()
        assert archive.testzip() is None

    assert [entry.filename for entry in entries] == sorted(sources)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    # Java's ZipInputStream refuses a stored entry whose sizes come after it (ZipUtils.java, unzip).
    assert {entry.flag_bits & 0x08 for entry in entries} == {0}


def test_others_may_read_it_whatever_the_umask(sources: dict[str, Source], tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        archive = write(tmp_path / "a.mar", sources)
    finally:
        os.umask(umask)
    assert archive.stat().st_mode & 0o777 == 0o644


def test_a_file_that_changed_since_its_record_was_made_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "tokenizer.json"
    source.write_text("{}")
    records = {"model/tokenizer.json": record_of(source)}
    source.write_text("[]")

    with pytest.raises(SourceChanged, match=r"tokenizer\.json changed while"):
        write_zip(tmp_path / "a.mar", {"model/tokenizer.json": source}, records, lambda _: None)
    assert list(tmp_path.iterdir()) == [source]


def test_nothing_half_written_is_left(
    sources: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    archive = write(store / "a.mar", sources)
    before = archive.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="needs more space"):
        write(archive, {"another": b""})

    assert list(store.iterdir()) == [archive]
    assert archive.read_bytes() == before
