from pathlib import Path

import pytest
from gguf import GGMLQuantizationType

from adapter.archives.model_directory import model_directory, model_name
from adapter.archives.model_source import ModelSourceError, served_files
from tests.handler_here import run_handlers_here
from tests.handlers.gguf_files import TINY, write_tiny


def test_a_directory_is_what_it_is() -> None:
    with model_directory(str(TINY)) as directory:
        assert directory == TINY


def test_a_gguf_file_is_a_directory_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.gguf", GGMLQuantizationType.F16)
    with model_directory(str(tmp_path / "tiny.gguf")) as directory:
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in served_files(directory)}
    assert not directory.exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.gguf", None, "No such file"),
        ("other.gguf", b"PK\x03\x04", "is not a GGUF file"),
        ("empty.gguf", b"", "is not a GGUF file"),
        ("OTHER.GGUF", b"PK\x03\x04", "is not a GGUF file"),
        ("model-00001-of-00002.gguf", b"GGUF", "is one of several files"),
        ("torn.gguf", b"GGUF\x03\x00\x00\x00", "no whole GGUF file"),
    ],
)
def test_what_is_no_model_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, reason: str
) -> None:
    run_handlers_here(monkeypatch)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelSourceError, match=reason), model_directory(str(tmp_path / name)):
        pass


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("models/tiny", "tiny"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q4_1"),
        ("Tiny.GGUF", "Tiny"),
        ("org/model", "model"),
    ],
)
def test_a_model_is_called_as_its_file_is(source: str, name: str) -> None:
    assert model_name(source) == name
