"""A small llama, its weights as they are or in 8 bits, and an engine that takes compiled steps of it."""

import json
from typing import Literal

import torch
from torch import nn
from transformers import LlamaConfig, PreTrainedModel

from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.project import PROJECT

SLOTS, PREFIX_SLOTS = 4, 1
GREEDY = SamplingParameters()


def settings_of(quantization: Literal["int8"] | None) -> HandlerSettings:
    """In float32, where both ways to read a weight of 8 bits give the same answers."""
    return HandlerSettings(
        slots=SLOTS, prefix_slots=PREFIX_SLOTS, quantization=quantization, dtype="float32", threads=1
    )


def configuration() -> LlamaConfig:
    """For the tokenizer of models/tiny. Its greedy choice is far from ties, and no token ends an answer."""
    return LlamaConfig(
        vocab_size=json.loads((PROJECT / "models" / "tiny" / "config.json").read_text())["vocab_size"],
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        initializer_range=0.3,
        eos_token_id=None,
    )


@torch.no_grad()
def rounded(model: PreTrainedModel) -> PreTrainedModel:
    """Plain layers, each weight rounded to a whole number of steps, 127 of which are the largest of its output."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            steps = layer.weight.abs().amax(dim=1, keepdim=True) / 127
            layer.weight.copy_((layer.weight / steps).round() * steps)
    return model


def engine_of(model: PreTrainedModel, steps: CompiledSteps | None) -> Engine:
    return Engine(
        model,
        (),
        slots=SLOTS,
        context_length=CONTEXT_LENGTH,
        prefill_tokens=16,
        prefix_slots=PREFIX_SLOTS,
        compiled_steps=steps,
    )
