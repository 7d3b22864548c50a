"""A small random model of any type that transformers has for causal language models, made by its configuration alone.

What cannot be made small in this way raises whatever transformers raises.
"""

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from tests.handlers.conftest import random_model
from tests.handlers.model_sizes import LAYERS, LOW_RANK_ATTENTION, PART_SIZES, SIZES, SIZES_OF_TYPES, WINDOW

_MOST_PARAMETERS = 20_000_000


def small_model(model_type: str, *, untied: bool = False) -> PreTrainedModel:
    """untied: its head has weights of its own, whatever the default of its type is."""
    config = small_config(model_type)
    if untied:
        config.tie_word_embeddings = config.get_text_config(decoder=True).tie_word_embeddings = False
    with torch.device("meta"):
        size = AutoModelForCausalLM.from_config(config).num_parameters()
    if size > _MOST_PARAMETERS:
        raise ValueError(f"it has {size:,} parameters")
    model = random_model(config)
    model.generation_config.forced_eos_token_id = None
    return model


def small_config(model_type: str) -> PreTrainedConfig:
    config_class = CONFIG_MAPPING[model_type]
    default = config_class()
    values = _small(default)
    for name in config_class.sub_configs:
        part = getattr(default, name, None)
        if isinstance(part, PreTrainedConfig) and name not in values:
            values[name] = _small(part) if name in ("text_config", "decoder") else _known(part, PART_SIZES)
    return config_class(**{name: value for name, value in values.items() if value != {}})


def _small(default: PreTrainedConfig) -> dict[str, Any]:
    """What a configuration of this class has another value for."""
    known = default.to_dict()
    values = _known(default, SIZES)
    if known.get("kv_lora_rank"):
        values |= LOW_RANK_ATTENTION
    own_layers = getattr(default, "num_hidden_layers", None)
    for name, value in known.items():
        if isinstance(value, list) and len(value) == own_layers:
            values[name] = _shortened(value)
    # Without one of them, what a class makes of the number of layers may have none of a kind.
    if known.get("sliding_window") is not None:
        values["sliding_window"] = WINDOW
    if known.get("num_kv_shared_layers"):
        values["num_kv_shared_layers"] = LAYERS // 2
    if getattr(default, "rope_parameters", None) and "rope_type" in default.rope_parameters:
        values["rope_parameters"] = {"rope_type": "default", "rope_theta": 10_000.0}
    return values | SIZES_OF_TYPES.get(default.model_type, {})  # which has the last word


def _known(default: PreTrainedConfig, sizes: dict[str, Any]) -> dict[str, Any]:
    known = default.to_dict()
    of_type = SIZES_OF_TYPES.get(default.model_type, {})
    return {name: value for name, value in sizes.items() if known.get(name) is not None} | of_type


def _shortened(of_layers: list[Any]) -> list[Any]:
    """For fewer layers, with each kind that there is, twice if there is room: the last layer's kind is the last."""
    kinds = [kind for number, kind in enumerate(of_layers) if kind not in of_layers[:number] and kind != of_layers[-1]]
    return [*[*kinds, of_layers[-1]] * LAYERS][:LAYERS] if len(kinds) < LAYERS else of_layers[:LAYERS]
