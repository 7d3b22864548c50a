"""Settles at load how a model treats positions: in a pass with others it must be as it is alone.

transformers chooses some of it anew in each pass, by the furthest position in it (modeling_rope_utils.py,
dynamic_rope_update) or by where the cache ends (modeling_llama4.py, Llama4TextAttention). The engine's passes hold
tokens of many requests, whose earlier keys are in the cache already.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from handlers.passes_alone import compute_alone, own_window
from handlers.slot_cache import UnsupportedModelError

_LONGROPE = "longrope"
_FIXED = "fixed"  # a type of which transformers knows nothing: it leaves the frequencies as they are


@runtime_checkable
class _RotaryEmbedding(Protocol):
    """The attributes that transformers' classes for it share; `rope_type` may be one of each type of layer."""

    config: PreTrainedConfig
    rope_type: str | dict[str, str]


@runtime_checkable
class _ScaledAttention(Protocol):
    """Llama4TextAttention."""

    use_rope: bool
    attn_temperature_tuning: bool
    floor_scale: int


def fix_positions(model: PreTrainedModel, context_length: int) -> None:
    """Settles rotary frequencies and scales of queries as they are for sequences of `context_length` tokens.

    LongRoPE has its long factors then for every token, in a short sequence too, where the context is longer than the
    original one; and its short factors where it is not. A model that counts for itself how far a token looks is
    computed alone from now on, where that is less than the context. Raises UnsupportedModelError where the model has
    code of its own for this, which cannot be settled.
    """
    if own_window(model.config, context_length) is not None:
        compute_alone(model)
    _check_own_choice(model.config, context_length)
    for module in model.modules():
        _fix_frequencies(module, context_length)
        _fix_query_scale(module, context_length)


def original_context_length(config: PreTrainedConfig) -> int | None:
    """The length that the model was trained on before its positions were stretched, if they are stretched by it."""
    lengths = [
        each.get("original_max_position_embeddings")
        for each in _rope_parameters(config)
        if _is_chosen_in_each_pass(each.get("rope_type", ""))
    ]
    return min((length for length in lengths if length is not None), default=None)


def has_longrope(config: PreTrainedConfig) -> bool:
    return any(each.get("rope_type") == _LONGROPE for each in _rope_parameters(config))


def _rope_parameters(config: PreTrainedConfig) -> list[dict[str, Any]]:
    """The parameters of all layers, or of each type of layer."""
    parameters = getattr(config.get_text_config(), "rope_parameters", None) or {}
    of_layer_types = [each for each in parameters.values() if isinstance(each, dict)]
    return of_layer_types or [parameters]


def _fix_frequencies(module: nn.Module, context_length: int) -> None:
    if not isinstance(module, _RotaryEmbedding):
        return
    if isinstance(module.rope_type, str):
        if _is_chosen_in_each_pass(module.rope_type):
            _set_frequencies(module, "inv_freq", module.rope_type, context_length)
            module.rope_type = _FIXED
        return
    for layer_type, rope_type in module.rope_type.items():
        if _is_chosen_in_each_pass(rope_type):
            _set_frequencies(module, f"{layer_type}_inv_freq", rope_type, context_length, layer_type)
            module.rope_type[layer_type] = _FIXED


def _is_chosen_in_each_pass(rope_type: str) -> bool:
    """Whether transformers' dynamic_rope_update would change it in a pass."""
    return "dynamic" in rope_type or rope_type == _LONGROPE


@torch.no_grad()
def _set_frequencies(
    module: _RotaryEmbedding, buffer: str, rope_type: str, context_length: int, layer_type: str | None = None
) -> None:
    frequencies: Tensor = getattr(module, buffer)
    settled, _ = ROPE_INIT_FUNCTIONS[rope_type](
        module.config, frequencies.device, seq_len=context_length, layer_type=layer_type
    )
    # Phimoe's computes them anew in each pass, by the short factors whatever its length (modeling_phimoe.py).
    if hasattr(module, "rope_init_fn") and not settled.equal(frequencies):
        raise UnsupportedModelError(
            f"{module.config.model_type} models are served up to their original context of"
            f" {original_context_length(module.config)} tokens, and context_length is {context_length}"
        )
    frequencies.copy_(settled)


def _check_own_choice(config: PreTrainedConfig, context_length: int) -> None:
    """Doge chooses among the tokens before one where there are more (modeling_doge.py, prepare_dynamic_mask).

    In a pass over a whole sequence it chooses among the tokens after it, too, so that there is no one text of it.
    """
    most = getattr(config.get_text_config(), "keep_window_size", None)
    if most is not None and context_length > most:
        raise UnsupportedModelError(
            f"{config.model_type} models are served up to {most} tokens, beyond which they choose what a token looks"
            f" at (keep_window_size), and context_length is {context_length}"
        )


def _fix_query_scale(module: nn.Module, context_length: int) -> None:
    """Llama 4 scales queries by 1 for the first `floor_scale` positions, which it counts from the end of the cache."""
    if not isinstance(module, _ScaledAttention) or module.use_rope or not module.attn_temperature_tuning:
        return
    if context_length > module.floor_scale:
        raise UnsupportedModelError(
            f"llama4 models are served up to {module.floor_scale} tokens, beyond which they scale attention"
            f" (floor_scale), and context_length is {context_length}"
        )
    module.attn_temperature_tuning = False
