"""A checkpoint that is not the whole model is refused, and what is wrong with it is named."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    FalconConfig,
    Gemma2Config,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    MptConfig,
    OPTConfig,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from handlers.slot_cache import UnsupportedModelError
from tests.handlers.fake_frontend import FakeFrontend
from tests.handlers.saved_models import SIZES, Weights, change_json, change_weights, load, save_model, without

LLAMA = LlamaConfig(**SIZES)
TIED_LLAMA = LlamaConfig(**SIZES, tie_word_embeddings=True)
MIXTRAL = MixtralConfig(**SIZES, num_local_experts=4)
OTHER_NAMES = {"vocab_size": 199, "n_layer": 2, "n_head": 4}
WHOLE = {
    "llama": LLAMA,
    "llama, tied": TIED_LLAMA,
    "gpt2": GPT2Config(**OTHER_NAMES, n_embd=64, n_positions=128),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
    "gpt_neox": GPTNeoXConfig(**{name: size for name, size in SIZES.items() if name != "num_key_value_heads"}),
    "mpt": MptConfig(vocab_size=199, d_model=64, n_layers=2, n_heads=4, max_seq_len=128),
    "gemma2": Gemma2Config(**SIZES, head_dim=16),
    "phi3": Phi3Config(**SIZES, pad_token_id=0),
    "opt": OPTConfig(
        vocab_size=199, hidden_size=64, ffn_dim=96, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=64
    ),
    "falcon": FalconConfig(vocab_size=199, hidden_size=64, num_hidden_layers=2, num_attention_heads=4),
    "mixtral": MIXTRAL,
}


@pytest.mark.parametrize("config", WHOLE.values(), ids=WHOLE)
def test_what_save_pretrained_wrote_is_whole(
    config: PreTrainedConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(save_model(tmp_path, config))

    assert [record.getMessage() for record in caplog.records if record.name == "handlers.checkpoint"] == []


def test_names_without_the_prefix_of_the_base_model_are_its_own(tmp_path: Path) -> None:
    expected = load(save_model(tmp_path, LLAMA)).state_dict()
    change_weights(tmp_path, lambda weights: {name.removeprefix("model."): tensor for name, tensor in weights.items()})

    loaded = load(tmp_path).state_dict()

    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())


def prefixed(weights: Weights) -> Weights:
    return {f"base_model.model.{name}": tensor for name, tensor in weights.items()}


@pytest.mark.parametrize(
    ("config", "change", "reason"),
    [
        pytest.param(
            LLAMA,
            without("layers.1.mlp"),
            r"lacks tensors of LlamaForCausalLM: model\.layers\.1\.mlp\.down_proj\.weight, .*up_proj\.weight$",
            id="a layer's MLP",
        ),
        pytest.param(LLAMA, without("lm_head"), r"lacks tensors of .*: lm_head\.weight$", id="the head"),
        pytest.param(
            LLAMA, without("model.norm"), r": model\.norm\.weight$", id="the last norm, which is made of ones"
        ),
        pytest.param(
            Qwen2Config(**SIZES), without("0.self_attn.q_proj.bias"), r": model\.layers\.0.*q_proj\.bias$", id="a bias"
        ),
        pytest.param(Qwen3Config(**SIZES), without("1.self_attn.k_norm"), r"k_norm\.weight$", id="a norm of keys"),
        pytest.param(
            TIED_LLAMA,
            without("embed_tokens"),
            r": lm_head\.weight, model\.embed_tokens\.weight$",
            id="both of two tied tensors",
        ),
        pytest.param(
            LLAMA,
            prefixed,
            r"lacks tensors of LlamaForCausalLM: lm_head\.weight, .* and 16 more\. It holds instead:"
            r" base_model\.model\.lm_head\.weight, .* and 16 more$",
            id="all, under the prefix of an adapter",
        ),
        pytest.param(
            MIXTRAL, without("1.block_sparse_moe.experts.2"), r"experts\.down_proj is \[3, 64, 96\]", id="an expert"
        ),
    ],
)
def test_what_is_missing_is_named(
    config: PreTrainedConfig, change: Callable[[Weights], Weights], reason: str, tmp_path: Path
) -> None:
    change_weights(save_model(tmp_path, config), change)
    with pytest.raises(UnsupportedModelError, match=reason):
        load(tmp_path)


def test_the_worker_says_so_and_does_not_serve_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    change_weights(save_model(tmp_path / "model", LLAMA), without("model.norm"))

    with pytest.raises(UnsupportedModelError):
        FakeFrontend(tmp_path)

    assert (
        "torchbridge: cannot load the model: the checkpoint lacks tensors of LlamaForCausalLM: model.norm.weight"
        in caplog.messages
    )


def test_a_tensor_that_the_index_names_and_no_shard_holds_is_missing(tmp_path: Path) -> None:
    change_weights(save_model(tmp_path, LLAMA), without("model.norm"))
    (tmp_path / "model.safetensors").rename(tmp_path / "model-00001-of-00001.safetensors")
    weight_map = {"model.norm.weight": "model-00001-of-00001.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))

    with pytest.raises(UnsupportedModelError, match=r"lacks tensors of LlamaForCausalLM: model\.norm\.weight$"):
        load(tmp_path)


def test_a_part_of_an_expert_is_named_although_it_cannot_be_joined_with_the_others(tmp_path: Path) -> None:
    name = "model.layers.1.block_sparse_moe.experts.2.w1.weight"
    change_weights(save_model(tmp_path, MIXTRAL), without(name))
    with pytest.raises(UnsupportedModelError, match=rf"cannot make a model .* missing is likely {re.escape(name)}$"):
        load(tmp_path)


def test_an_expert_of_another_shape_is_said_in_words(tmp_path: Path) -> None:
    name = "model.layers.1.block_sparse_moe.experts.2.w1.weight"
    change_weights(save_model(tmp_path, MIXTRAL), lambda weights: {**weights, name: torch.ones(1, 1)})
    with pytest.raises(UnsupportedModelError, match=r"cannot make a model of config\.json and the weights"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("model.norm.weight", torch.ones(63), r"model\.norm\.weight is \[63\] and not \[64\]$"),
        ("lm_head.weight", torch.ones(64, 199), r"lm_head\.weight is \[64, 199\] and not \[199, 64\]$"),
        ("lm_head.weight", torch.ones(199 * 64), r"lm_head\.weight is \[12736\] and not \[199, 64\]$"),
    ],
    ids=["another length", "turned over", "flat"],
)
def test_a_tensor_of_another_shape_is_named(name: str, tensor: torch.Tensor, reason: str, tmp_path: Path) -> None:
    change_weights(save_model(tmp_path, LLAMA), lambda weights: {**weights, name: tensor})
    with pytest.raises(UnsupportedModelError, match=reason):
        load(tmp_path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
@pytest.mark.parametrize("method", [None, "of-next-year"], ids=["config.json says nothing", "an unknown method"])
def test_quantized_weights_are_not_taken_for_plain_numbers(
    dtype: torch.dtype, method: str | None, tmp_path: Path
) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    change_weights(save_model(tmp_path, LLAMA), lambda weights: {**weights, name: weights[name].to(dtype)})
    if method:
        change_json(tmp_path / "config.json", quantization_config={"quant_method": method})
    with pytest.raises(UnsupportedModelError, match=rf"quantized in a way that config\.json does not say: {name}$"):
        load(tmp_path)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_found_where_no_probe_looks(number: float, tmp_path: Path) -> None:
    def spoil(weights: Weights) -> Weights:
        weights["model.embed_tokens.weight"][198, 63] = number
        return weights

    change_weights(save_model(tmp_path, LLAMA), spoil)
    with pytest.raises(UnsupportedModelError, match=r"NaN or infinite numbers: model\.embed_tokens\.weight$"):
        load(tmp_path)


def test_what_the_model_does_not_use_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    change_weights(
        save_model(tmp_path, LLAMA), lambda weights: {**weights, "model.layers.2.mlp.up_proj.weight": torch.ones(1)}
    )
    with caplog.at_level(logging.WARNING, "handlers"):
        load(tmp_path)

    assert (
        "The checkpoint has tensors that LlamaForCausalLM does not use: model.layers.2.mlp.up_proj.weight"
        in caplog.messages
    )


def test_the_masks_of_old_checkpoints_are_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = GPTJConfig(**OTHER_NAMES, n_embd=64, rotary_dim=8, n_positions=128)
    masks = {
        "transformer.h.0.attn.bias": torch.ones(1, 1, 128, 128, dtype=torch.bool),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e9),
    }
    change_weights(save_model(tmp_path, config), lambda weights: {**weights, **masks})
    with caplog.at_level(logging.WARNING, "handlers"):
        load(tmp_path)

    assert [record.getMessage() for record in caplog.records if record.name == "handlers.checkpoint"] == []


@pytest.mark.parametrize(
    "values",
    [{"hidden_act": "of-next-year"}, {"dtype": "float17"}, {"rope_parameters": {"rope_type": "of-next-year"}}],
    ids=lambda values: next(iter(values)),
)
def test_a_configuration_that_transformers_stumbles_over_is_said_in_words(
    values: dict[str, object], tmp_path: Path
) -> None:
    change_json(save_model(tmp_path, LLAMA) / "config.json", **values)
    with pytest.raises(UnsupportedModelError, match="cannot make a model"):
        load(tmp_path)
