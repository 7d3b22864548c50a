"""Small values for what configurations of models say, by the names that they have for it."""

from collections.abc import Mapping
from typing import Any

CONTEXT_LENGTH, VOCABULARY, LAYERS, WINDOW = 64, 199, 4, 8

# Those that a configuration does not know, or has no value for, are left out.
SIZES: dict[str, Any] = (
    dict.fromkeys(["vocab_size", "vocab_size_per_layer_input"], VOCABULARY)
    | dict.fromkeys(["hidden_size", "n_embd", "d_model", "dim", "embedding_size", "word_embed_proj_dim", "emb_dim"], 64)
    | dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"], LAYERS)
    | dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"], 4)
    | dict.fromkeys(["num_key_value_heads", "num_kv_heads", "multi_query_group_num"], 2)
    | dict.fromkeys(["swa_num_attention_heads", "linear_num_heads"], 4)
    | dict.fromkeys(["swa_num_key_value_heads", "num_global_key_value_heads"], 2)
    | dict.fromkeys(["head_dim", "global_head_dim", "swa_head_dim", "kv_channels", "attention_head_dim"], 16)
    | dict.fromkeys(["intermediate_size", "ffn_hidden_size", "n_inner", "decoder_ffn_dim", "ffn_dim"], 96)
    | dict.fromkeys(["intermediate_size_mlp", "dense_intermediate_size", "shared_expert_intermediate_size"], 96)
    | dict.fromkeys(["moe_intermediate_size", "expert_ffn_hidden_size", "shared_intermediate_size"], 32)
    | dict.fromkeys(["shared_experts_intermediate_size"], 32)
    | dict.fromkeys(["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"], 4)
    | dict.fromkeys(["num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts"], 2)
    | dict.fromkeys(["n_group", "topk_group", "num_expert_group", "n_shared_experts", "num_shared_experts"], 1)
    | dict.fromkeys(
        ["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "model_max_length"], CONTEXT_LENGTH
    )
    | dict.fromkeys(["q_lora_rank", "kv_lora_rank", "index_head_dim", "v_head_dim", "qk_nope_head_dim"], 16)
    | dict.fromkeys(["qk_rope_head_dim", "hidden_size_per_layer_input", "laurel_rank", "rotary_dim"], 8)
    | {"initializer_range": 0.3, "first_k_dense_replace": 1, "altup_num_inputs": 2, "is_decoder": True}
    | {"index_topk": 8, "index_n_heads": 4, "zero_expert_num": 2}
    | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 3, "sep_token_id": 4}
)
# Of parts that generate no text: towers for pictures and sounds, and encoders.
PART_SIZES: dict[str, Any] = (
    dict.fromkeys(["hidden_size", "d_model", "dim", "embed_dim"], 64)
    | dict.fromkeys(["num_hidden_layers", "encoder_layers", "num_layers", "depth", "num_blocks"], 2)
    | dict.fromkeys(["num_attention_heads", "encoder_attention_heads", "num_heads"], 4)
    | dict.fromkeys(["intermediate_size", "encoder_ffn_dim", "mlp_dim", "ffn_dim"], 96)
)

# Keys and values of each head come from one low rank (MLA): there is no group of heads, and only a part has positions.
LOW_RANK_ATTENTION: dict[str, Any] = {"num_key_value_heads": 4, "head_dim": 8}
_DEFAULT_ROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 10_000.0}
_RECURRENT_AND_FULL = ["linear_attention", "full_attention"] * (LAYERS // 2)
_SLIDING_AND_FULL: dict[str, Any] = {
    "layer_types": ["sliding_attention", "full_attention"] * (LAYERS // 2),
    "sliding_window": WINDOW,
}
_DOTS3_NOTE: dict[str, Any] = {
    "head_dim": 24,
    "layer_types": ["indexed_attention", "sliding_attention"] * (LAYERS // 2),
    "per_layer_config": {
        layer: {"num_attention_heads": 4, "num_key_value_heads": 4, "kv_lora_rank": 16, "head_dim": 24}
        for layer in range(1, LAYERS, 2)
    },
}
_QWEN4_EXP: dict[str, Any] = {
    "hc_lowrank": 8,
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 16,
    "indexer_budget": 8,
    "indexer_compress_ratio": 2,
}

# What a type needs beside or instead of these, mostly where its default says nothing of it.
SIZES_OF_TYPES: Mapping[str, Mapping[str, Any]] = {
    # What is shorter here than the prompts, as it is shorter than the context in models that are published.
    "big_bird": {"block_size": 4, "num_random_blocks": 1},
    "bigbird_pegasus": {"block_size": 4, "num_random_blocks": 1},
    "doge": {"keep_window_size": CONTEXT_LENGTH},  # as published
    "gpt_neo": {"window_size": WINDOW},
    "laguna": _SLIDING_AND_FULL,
    "mellum": _SLIDING_AND_FULL,
    "qwen2": _SLIDING_AND_FULL | {"use_sliding_window": True},
    "qwen2_moe": _SLIDING_AND_FULL | {"use_sliding_window": True},
    "qwen3": _SLIDING_AND_FULL | {"use_sliding_window": True},
    "smollm3": _SLIDING_AND_FULL | {"use_sliding_window": True},
    "bamba": {"attn_layer_indices": [1, 3]},
    "blenderbot": {"encoder_layers": LAYERS},  # its decoder's cache has as many as that
    "blt": {"encoder_hash_byte_group_vocab": 300},
    "blt_local_encoder": {"hidden_size_global": 64},
    "blt_local_decoder": {"hidden_size_global": 64},
    "cohere_compass_text": _SLIDING_AND_FULL
    | {"rope_parameters": {"full_attention": _DEFAULT_ROPE, "sliding_attention": _DEFAULT_ROPE}},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10_000.0, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 96, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 64},
    },
    "gemma4_assistant": {"backbone_hidden_size": 64},
    "gemma4_unified_assistant": {"backbone_hidden_size": 64},
    "minimax_m3_vl_text": {
        "layer_types": ["full_attention", "minimax_m3_sparse"] * (LAYERS // 2),
        "index_block_size": 4,
        "index_topk_blocks": 2,
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note": {"vision_config": {"adapter_out_dim": 64}, "audio_config": {"adapter_out_dim": 64}},
    "dots3_note_text": _DOTS3_NOTE,
    "granitemoehybrid": {"layer_types": _RECURRENT_AND_FULL},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "hy_v4": {"indexer_types": ["full", "shared"] * (LAYERS // 2)},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2": {"layer_types": ["conv", "full_attention"] * (LAYERS // 2)},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * (LAYERS // 2)},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 16},
    "ministral3": {
        "rope_parameters": _DEFAULT_ROPE | {"llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 16}
    },
    "nemotron": {"num_key_value_heads": 2},
    "qwen4_exp_text": _QWEN4_EXP,
    "reformer": {"axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 48]},
    "xlstm": {"embedding_dim": 64, "num_blocks": LAYERS, "qk_dim_factor": 1.0},
    "xmod": {"default_language": "en_XX"},
    "zaya": {"num_experts_per_tok": 1},
}
