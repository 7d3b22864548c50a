"""A worker loads the files that were packed, or says which one is another."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from handlers.archive_integrity import ArchiveChangedError, check_unpacked_files, checked_beside
from tests.handlers.fake_frontend import FakeFrontend, write_record


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "model" / name).write_bytes(name.encode() * 100)
    write_record(tmp_path)
    return tmp_path


def test_what_was_packed_passes_and_the_answer_is_the_records_digest(unpacked: Path) -> None:
    record = (unpacked / "MAR-INF" / "RECORD.json").read_bytes()

    assert check_unpacked_files(unpacked) == hashlib.sha256(record).hexdigest()


def flip_a_bit(model: Path) -> None:
    content = bytearray((model / "model.safetensors").read_bytes())
    content[700] ^= 1
    (model / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(flip_a_bit, "model/model.safetensors has changed since it was packed", id="one bit"),
        pytest.param(
            lambda model: (model / "config.json").unlink(), "model/config.json is missing, but was packed", id="a loss"
        ),
        pytest.param(
            lambda model: (model / "adapter_config.json").touch(),
            "model/adapter_config.json was not packed",
            id="a stray file",
        ),
    ],
)
def test_what_was_not_packed_is_refused_by_name(unpacked: Path, change: Callable[[Path], object], reason: str) -> None:
    change(unpacked / "model")

    with pytest.raises(ArchiveChangedError, match=f"^{reason}$"):
        check_unpacked_files(unpacked)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The directories that the handler has begun to load, in vain."""
    begun: list[Path] = []

    def fail(directory: Path, *_: object) -> None:
        begun.append(directory)
        raise OSError("no such weights")

    monkeypatch.setattr("tests.handlers.fake_frontend.write_record", lambda _: None)
    monkeypatch.setattr("handlers.text_generation.load_packed_model", fail)
    return begun


def test_the_handler_says_what_has_changed_in_one_line_whatever_the_load_says(
    unpacked: Path, loads: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    flip_a_bit(unpacked / "model")

    with pytest.raises(ArchiveChangedError):
        FakeFrontend(unpacked)

    assert loads
    assert [record.message for record in caplog.records] == [
        "torchbridge: cannot load the model: model/model.safetensors has changed since it was packed"
    ]


@pytest.mark.parametrize("name", ["adapter_config.json", "config.json"])
def test_nothing_is_loaded_where_files_are_strange_or_missing(unpacked: Path, loads: list[Path], name: str) -> None:
    path = unpacked / "model" / name
    path.unlink() if path.exists() else path.touch()

    with pytest.raises(ArchiveChangedError):
        FakeFrontend(unpacked)

    assert loads == []


def test_a_load_that_fails_by_itself_says_so(unpacked: Path, loads: list[Path]) -> None:
    with pytest.raises(OSError, match="no such weights"):
        FakeFrontend(unpacked)
    assert loads


def test_a_model_that_loads_from_changed_files_is_not_served(unpacked: Path) -> None:
    flip_a_bit(unpacked / "model")
    with pytest.raises(ArchiveChangedError), checked_beside(unpacked):
        pass
