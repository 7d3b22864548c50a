"""Writes models/tiny as llama.cpp has it: its names, its order of the rotated dimensions, its tokenizer's table."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

from tests.project import PROJECT

TINY = PROJECT / "models" / "tiny"
_PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_tiny(path: Path, kind: gguf.GGMLQuantizationType, *, without: str = "") -> None:
    """kind: of the matrices; vectors are in float32. without: a tensor, by llama.cpp's name, that is left out."""
    config: dict[str, Any] = json.loads((TINY / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, config)
    for name, tensor in load_file(TINY / "model.safetensors").items():
        if (target := _name(name)) != without:
            _add_tensor(writer, target, _rotated(name, tensor, config), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    table = json.loads((TINY / "tokenizer.json").read_text())
    special = {token["content"]: token["id"] for token in table["added_tokens"]}
    by_number = {number: token for token, number in (table["model"]["vocab"] | special).items()}
    tokens = [by_number[number] for number in range(config["vocab_size"])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in table["model"]["merges"]])
    writer.add_add_bos_token(True)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_chat_template((TINY / "chat_template.jinja").read_text())


def _name(name: str) -> str:
    if not name.startswith("model.layers."):
        return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[name]
    _, _, number, part = name.split(".", 3)
    return f"blk.{number}.{_PARTS[part.removesuffix('.weight')]}.weight"


def _rotated(name: str, tensor: np.ndarray[Any, Any], config: dict[str, Any]) -> np.ndarray[Any, Any]:
    """llama.cpp rotates neighbours, and transformers the two halves of a head."""
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    num_heads = heads.get(name.split(".")[-2])
    if num_heads is None:
        return tensor
    halves = tensor.reshape(num_heads, 2, config["head_dim"] // 2, tensor.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))


def _add_tensor(
    writer: gguf.GGUFWriter, name: str, tensor: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType
) -> None:
    if tensor.ndim == 1:
        writer.add_tensor(name, tensor)
    else:
        writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
