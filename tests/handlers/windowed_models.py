"""Small models with sliding windows, of each family that masks them in its own way."""

from collections.abc import Callable
from typing import Any

from transformers import (
    Cohere2Config,
    Exaone4Config,
    Gemma2Config,
    Gemma3nTextConfig,
    Gemma3TextConfig,
    GptOssConfig,
    MinistralConfig,
    MistralConfig,
    ModernBertDecoderConfig,
    Olmo3Config,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
    Starcoder2Config,
)

from tests.handlers.conftest import random_model

WINDOW, CONTEXT_LENGTH = 8, 64
LONG_WINDOW = 40  # longer than what the self-check makes of it
VOCABULARY = 199
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": CONTEXT_LENGTH,
    "initializer_range": 0.3,
    "tie_word_embeddings": False,  # tied, random weights of a Gemma repeat the last token for ever
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_BOTH_KINDS: dict[str, Any] = _SIZES | {"layer_types": ["sliding_attention", "full_attention"] * 2}
_LAST_LAYERS: dict[str, Any] = _SIZES | {"use_sliding_window": True, "max_window_layers": 2}
_DEFAULT_ROPE: dict[str, Any] = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}}
_GEMMA3N: dict[str, Any] = _BOTH_KINDS | {
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 16,
    "laurel_rank": 8,
    "activation_sparsity_pattern": [0.0] * 4,
}
_GPT_OSS: dict[str, Any] = _BOTH_KINDS | _DEFAULT_ROPE | {"num_local_experts": 4, "num_experts_per_tok": 2}

# Each takes the window, in tokens.
FAMILIES: dict[str, Callable[[int], PreTrainedConfig]] = {
    # One mask for all layers
    "mistral": lambda window: MistralConfig(**_SIZES, sliding_window=window),
    "phi3": lambda window: Phi3Config(**_SIZES, sliding_window=window),
    "starcoder2": lambda window: Starcoder2Config(**_SIZES, sliding_window=window),
    # One for each type of layers
    "cohere2": lambda window: Cohere2Config(**_BOTH_KINDS, sliding_window=window),
    "exaone4": lambda window: Exaone4Config(**_BOTH_KINDS, sliding_window=window),
    "gemma3": lambda window: Gemma3TextConfig(**_BOTH_KINDS, sliding_window=window),
    "ministral": lambda window: MinistralConfig(**_BOTH_KINDS, sliding_window=window),
    "modernbert-decoder": lambda window: ModernBertDecoderConfig(
        **_BOTH_KINDS | {"cls_token_id": 3, "sep_token_id": 4}, sliding_window=window
    ),
    "olmo3": lambda window: Olmo3Config(**_BOTH_KINDS, sliding_window=window),
    "qwen2": lambda window: Qwen2Config(**_LAST_LAYERS, sliding_window=window),
    "qwen3": lambda window: Qwen3Config(**_LAST_LAYERS, sliding_window=window),
    "smollm3": lambda window: SmolLM3Config(**_BOTH_KINDS, use_sliding_window=True, sliding_window=window),
    # With layers that look at the keys of others
    "gemma3n": lambda window: Gemma3nTextConfig(**_GEMMA3N, num_kv_shared_layers=2, sliding_window=window),
    # Whose attention is not one of transformers' interchangeable ones: scores are capped, or have a sink
    "gemma2": lambda window: Gemma2Config(**_BOTH_KINDS, sliding_window=window),
    "gpt_oss": lambda window: GptOssConfig(**_GPT_OSS, sliding_window=window),
}


def make_model(family: str, window: int = WINDOW) -> PreTrainedModel:
    return random_model(FAMILIES[family](window))
