"""Random models that are made on their device: nothing is downloaded, written to a disk or held by the CPU first."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from benchmarks.random_models import CACHE, Size, llama_config, make_tokenizer

# The shapes of Llama 3.2 1B and of Llama 3.1 8B, whose embeddings are not tied (their config.json).
LARGE = {
    "1B": Size(128_256, 2_048, 16, 32, 8, 8_192),
    "8B": Size(128_256, 4_096, 32, 32, 8, 14_336),
}
TINY = dict.fromkeys(LARGE, Size(512, 64, 2, 4, 2, 128))  # what the CPU runs in a moment

_SMALL = {"vocab_size": 512, "bos_token_id": None, "eos_token_id": None, "initializer_range": 0.3}
_LLAMA = {
    **_SMALL,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": _LLAMA,
    "qwen2": _LLAMA,
    "gpt2": {**_SMALL, "n_embd": 128, "n_layer": 3, "n_head": 4},
}


def small_model(family: str, device: torch.device) -> PreTrainedModel:
    """In float32, with weights that tell tokens apart."""
    return _on_device(AutoConfig.for_model(family, **FAMILIES[family]), torch.float32, device)


def large_model(size: Size, device: torch.device) -> PreTrainedModel:
    """In bfloat16."""
    return _on_device(llama_config(size, is_tied=size.hidden < LARGE["8B"].hidden), torch.bfloat16, device)


def saved(model: PreTrainedModel, name: str, vocabulary: int) -> Path:
    """A directory that can be packed."""
    directory = CACHE / f"gpu-{name}"
    model.save_pretrained(directory)
    (directory / "generation_config.json").write_text(json.dumps({"do_sample": False}), encoding="utf-8")
    make_tokenizer(vocabulary).save_pretrained(directory)
    return directory


def _on_device(config: PreTrainedConfig, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    torch.manual_seed(0)
    with device:
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.generation_config.pad_token_id = 0
    model.eval()
    return model
