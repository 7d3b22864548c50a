"""Model directories as save_pretrained() leaves them, and what may have happened to their weights since."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from handlers.model_loading import load_model
from handlers.settings import HandlerSettings
from tests.handlers.character_tokenizer import character_tokenizer
from tests.project import PROJECT

TINY = PROJECT / "models" / "tiny"
Weights = dict[str, torch.Tensor]

# By the names that most configurations know.
SIZES = {
    "vocab_size": 199,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def save_model(directory: Path, config: PreTrainedConfig) -> Path:
    """With random weights and a tokenizer of 129 tokens."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(directory)
    character_tokenizer().save_pretrained(directory)
    return directory


def save_in(dtype: torch.dtype, directory: Path, config: PreTrainedConfig) -> Path:
    """As save_model, with weights of this type."""
    save_model(directory, config)
    change_weights(directory, lambda weights: {name: tensor.to(dtype) for name, tensor in weights.items()})
    change_json(directory / "config.json", dtype=str(dtype).removeprefix("torch."))
    return directory


def save_with_tokenizer(directory: Path, config: PreTrainedConfig) -> None:
    """With random weights and the tokenizer of models/tiny."""
    torch.manual_seed(7)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY / name, directory / name)


def change_weights(directory: Path, change: Callable[[Weights], Weights]) -> None:
    path = directory / "model.safetensors"
    changed = {name: tensor.contiguous() for name, tensor in change(load_file(path)).items()}
    save_file(changed, path, metadata={"format": "pt"})


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def without(part: str) -> Callable[[Weights], Weights]:
    """Drops every tensor that has `part` in its name."""

    def change(weights: Weights) -> Weights:
        left = {name: tensor for name, tensor in weights.items() if part not in name}
        assert len(left) < len(weights)
        return left

    return change


def load(directory: Path) -> PreTrainedModel:
    return load_model(directory, HandlerSettings()).model
