"""A small random model of any type that transformers has for causal language models, made by its configuration alone.

What cannot be made small in this way raises whatever transformers raises.
"""

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

CONTEXT_LENGTH, VOCABULARY = 64, 199
_LAYERS, _WINDOW = 4, 8
_MOST_PARAMETERS = 20_000_000
# By the names that configurations have for them. Those that a configuration does not know are left out.
_SIZES: dict[str, Any] = (
    dict.fromkeys(["vocab_size", "vocab_size_per_layer_input"], VOCABULARY)
    | dict.fromkeys(["hidden_size", "n_embd", "d_model", "dim", "embedding_size", "word_embed_proj_dim", "emb_dim"], 64)
    | dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"], _LAYERS)
    | dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"], 4)
    | dict.fromkeys(["num_key_value_heads", "num_kv_heads", "multi_query_group_num"], 2)
    | dict.fromkeys(["swa_num_attention_heads", "linear_num_heads"], 4)
    | dict.fromkeys(["swa_num_key_value_heads", "num_global_key_value_heads"], 2)
    | dict.fromkeys(["head_dim", "global_head_dim", "swa_head_dim", "kv_channels", "attention_head_dim"], 16)
    | dict.fromkeys(["intermediate_size", "ffn_hidden_size", "n_inner", "decoder_ffn_dim", "ffn_dim"], 96)
    | dict.fromkeys(["intermediate_size_mlp", "dense_intermediate_size", "shared_expert_intermediate_size"], 96)
    | dict.fromkeys(["moe_intermediate_size", "expert_ffn_hidden_size", "shared_intermediate_size"], 32)
    | dict.fromkeys(["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"], 4)
    | dict.fromkeys(["num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts"], 2)
    | dict.fromkeys(["n_group", "topk_group", "num_expert_group", "n_shared_experts", "num_shared_experts"], 1)
    | dict.fromkeys(
        ["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "model_max_length"], CONTEXT_LENGTH
    )
    | dict.fromkeys(["q_lora_rank", "kv_lora_rank", "index_head_dim", "v_head_dim", "qk_nope_head_dim"], 16)
    | dict.fromkeys(["qk_rope_head_dim", "hidden_size_per_layer_input", "laurel_rank", "rotary_dim"], 8)
    | {"initializer_range": 0.3, "first_k_dense_replace": 1, "altup_num_inputs": 2, "is_decoder": True}
    | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 3, "sep_token_id": 4}
)


def small_model(model_type: str) -> PreTrainedModel:
    config = small_config(model_type)
    with torch.device("meta"):
        size = AutoModelForCausalLM.from_config(config).num_parameters()
    if size > _MOST_PARAMETERS:
        raise ValueError(f"it has {size:,} parameters")
    torch.manual_seed(7)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model.eval()


def small_config(model_type: str) -> PreTrainedConfig:
    config_class = CONFIG_MAPPING[model_type]
    default = config_class()
    values = _small(default)
    for name in config_class.sub_configs:
        if isinstance(part := getattr(default, name, None), PreTrainedConfig):
            values[name] = _small(part) if name in ("text_config", "decoder") else {}
    return config_class(**{name: value for name, value in values.items() if value != {}})


def _small(default: PreTrainedConfig) -> dict[str, Any]:
    """What a configuration of this class has another value for."""
    known = default.to_dict()
    values = {name: value for name, value in _SIZES.items() if known.get(name) is not None}
    own_layers = getattr(default, "num_hidden_layers", None)
    for name, value in known.items():
        if isinstance(value, list) and len(value) == own_layers:
            values[name] = _shortened(value)
    # Without one of them, what a class makes of the number of layers may have none of a kind.
    if known.get("sliding_window") is not None:
        values["sliding_window"] = _WINDOW
    if known.get("num_kv_shared_layers"):
        values["num_kv_shared_layers"] = _LAYERS // 2
    if getattr(default, "rope_parameters", None) and "rope_type" in default.rope_parameters:
        values["rope_parameters"] = {"rope_type": "default", "rope_theta": 10_000.0}
    return values


def _shortened(of_layers: list[Any]) -> list[Any]:
    """For fewer layers, with each kind that there is, twice if there is room: the last layer's kind is the last."""
    kinds = [kind for number, kind in enumerate(of_layers) if kind not in of_layers[:number] and kind != of_layers[-1]]
    return [*[*kinds, of_layers[-1]] * _LAYERS][:_LAYERS] if len(kinds) < _LAYERS else of_layers[:_LAYERS]
