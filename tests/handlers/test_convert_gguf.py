"""A GGUF file becomes a model in Hugging Face's format: the same weights, the same tokens, and nothing made up."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from handlers.convert_gguf import ConversionError, convert
from tests.handlers.gguf_files import TINY, write_tiny

TEXT = "Once upon a time, there was a dog. <eos>"


Converted = Callable[[GGMLQuantizationType], Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Of models/tiny in this kind, converted once for all tests here."""
    return cache(lambda kind: converted(tmp_path_factory.mktemp("converted"), kind))


def converted(directory: Path, kind: GGMLQuantizationType) -> Path:
    file = directory / "tiny.gguf"
    write_tiny(file, kind)
    convert(file, directory / "model")
    return directory / "model"


def loaded(directory: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(directory)
    return model


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (GGMLQuantizationType.F32, torch.float32),
        (GGMLQuantizationType.F16, torch.float16),
        (GGMLQuantizationType.BF16, torch.bfloat16),
    ],
)
def test_weights_that_are_not_quantized_stay_as_they_are(
    models: Converted, kind: GGMLQuantizationType, dtype: torch.dtype
) -> None:
    model = loaded(models(kind))
    expected = loaded(TINY).to(dtype).state_dict()
    found = model.state_dict()
    assert model.dtype == dtype
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_what_is_quantized_becomes_bfloat16(models: Converted) -> None:
    model = loaded(models(GGMLQuantizationType.Q8_0))
    assert model.dtype == torch.bfloat16
    expected = loaded(TINY).state_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor.float(), expected[name], atol=0.02, rtol=0.02)


def test_the_tokenizer_is_the_same(models: Converted) -> None:
    directory = models(GGMLQuantizationType.F32)
    found, expected = AutoTokenizer.from_pretrained(directory), AutoTokenizer.from_pretrained(TINY)
    assert found(TEXT)["input_ids"] == expected(TEXT)["input_ids"]
    assert found.chat_template == expected.chat_template
    assert (found.bos_token_id, found.eos_token_id) == (expected.bos_token_id, expected.eos_token_id)


def test_the_same_file_gives_the_same_bytes(models: Converted, tmp_path: Path) -> None:
    first, second = (models(GGMLQuantizationType.Q8_0), converted(tmp_path, GGMLQuantizationType.Q8_0))
    files = sorted(path.name for path in first.iterdir())
    assert files == sorted(path.name for path in second.iterdir())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_a_file_that_lacks_a_tensor_is_refused_by_its_name(tmp_path: Path) -> None:
    write_tiny(tmp_path / "torn.gguf", GGMLQuantizationType.F32, without="blk.1.attn_v.weight")
    with pytest.raises(ConversionError, match=r"layers\.1\.self_attn\.v_proj"):
        convert(tmp_path / "torn.gguf", tmp_path / "model")


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path / "torn.gguf", GGMLQuantizationType.F32)
    content = (tmp_path / "torn.gguf").read_bytes()
    (tmp_path / "torn.gguf").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConversionError, match="no whole GGUF file"):
        convert(tmp_path / "torn.gguf", tmp_path / "model")
