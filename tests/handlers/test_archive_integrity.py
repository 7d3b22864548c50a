"""A worker loads the files that were packed, or says which one is another."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from handlers.archive_integrity import ArchiveChangedError, check_unpacked_files
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


def test_the_handler_says_so_in_one_line_and_loads_nothing(
    unpacked: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_a_bit(unpacked / "model")
    monkeypatch.setattr("tests.handlers.fake_frontend.write_record", lambda _: None)
    monkeypatch.setattr("handlers.text_generation.load_packed_model", lambda *_: pytest.fail("it was loaded"))

    with pytest.raises(ArchiveChangedError):
        FakeFrontend(unpacked)

    assert [record.message for record in caplog.records] == [
        "torchbridge: cannot load the model: model/model.safetensors has changed since it was packed"
    ]
