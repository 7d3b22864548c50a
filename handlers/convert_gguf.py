"""Turns a GGUF file into a model in Hugging Face's format: `python -m handlers.convert_gguf FILE.gguf DIRECTORY`.

transformers reads it (modeling_gguf_pytorch_utils.py), with the packages gguf and accelerate. What is quantized there
becomes bfloat16: it is further from the model's first weights than bfloat16 is from it. Everything else stays exact.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.import_utils import is_accelerate_available, is_gguf_available

from handlers.checkpoint import LoadingInfo
from handlers.command_process import one_line_for
from handlers.short_list import short_list

_EXACT = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class ConversionError(ValueError):
    """The file cannot be turned into a model, and the message says why."""


def convert(file: Path, directory: Path) -> None:
    """Writes model.safetensors, config.json, generation_config.json and the tokenizer. Raises ConversionError."""
    if not (is_gguf_available() and is_accelerate_available()):
        raise ConversionError("GGUF files need two more packages: pip install 'torchbridge[gguf]'")
    dtype = _computed_from(file)
    model = _without_quantization(_read(file), dtype)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model.generation_config = _generation_config(model, tokenizer)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _computed_from(file: Path) -> torch.dtype:
    """The type that loses least of what the file holds: its matrices' own, or bfloat16 where they are quantized.

    Vectors, such as a norm's weights, are in float32 also where the matrices are not.
    """
    from gguf import GGUFReader  # noqa: PLC0415 - an extra

    try:
        matrices = {tensor.tensor_type.name for tensor in GGUFReader(file).tensors if len(tensor.shape) > 1}
    except (ValueError, IndexError, KeyError) as error:
        raise ConversionError("it is no whole GGUF file") from error
    return _EXACT.get(next(iter(matrices)), torch.bfloat16) if len(matrices) == 1 else torch.bfloat16


def _read(file: Path) -> PreTrainedModel:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(  # its type knows nothing of output_loading_info
            file.parent, gguf_file=file.name, dtype=torch.float32, output_loading_info=True
        )
    except (KeyError, NotImplementedError) as error:
        raise ConversionError(f"transformers cannot read it: {error}") from error
    model: PreTrainedModel
    info: LoadingInfo
    model, info = loaded
    if missing := {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}:
        raise ConversionError(f"it lacks tensors of {type(model).__name__}: {short_list(missing)}")
    return model


def _without_quantization(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The same weights in a model that may be saved: transformers saves none that it calls quantized."""
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    with torch.device("meta"):
        plain = type(model)(type(model.config)(**settings))
    plain.load_state_dict({name: tensor.to(dtype) for name, tensor in model.state_dict().items()}, assign=True)
    plain.tie_weights()
    plain.config.dtype = dtype
    return plain


def _generation_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """The file names its special tokens in its tokenizer, and has no recommendations for sampling."""
    ends = getattr(model.config, "eos_token_id", None)
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id if ends is None else ends,
        pad_token_id=tokenizer.pad_token_id,
    )


def main(file: str, directory: str) -> None:
    with one_line_for(OSError, ValueError):
        convert(Path(file), Path(directory))


if __name__ == "__main__":
    main(*sys.argv[1:])
