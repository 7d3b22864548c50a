"""Attention for many requests whose tokens pass through the model as one sequence: each looks at its own past alone.

Everything else in a transformer treats its tokens one by one, so that pieces of prompts and new tokens may share a
pass: the weights are read once for all of them. It is registered with transformers as an implementation of attention
beside its own (transformers/modeling_utils.py, AttentionInterface); the model's code stays as it is, and hands on the
keyword `segments` as it hands on those of transformers' own continuous batching.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "torchbridge_packed"


class Segment(NamedTuple):
    """Tokens that look at the same positions, equally many of each row.

    tokens: where they stand in the sequence, row after row; rows: of the cache.
    length: positions 0 … length - 1 are looked at.
    masks: [rows, masks, tokens of a row, length], added to the scores; a layer takes the one whose number the model
    hands it as its mask. None where the tokens are the row's first ones and look at all before them.
    """

    tokens: slice
    rows: slice
    length: int
    masks: Tensor | None


def use_packed_attention(model: PreTrainedModel) -> bool:
    """Lets the model take `segments`, if it can; without them it goes on as before.

    Not where the cache holds what keys and values are made of, in each pass anew (MLA: modeling_deepseek_v3.py,
    expand_kv): a pass for all would make them of every row as far as the longest one.
    """
    if getattr(model.config.get_text_config(decoder=True), "kv_lora_rank", None):
        return False
    if model.config._attn_implementation == "sdpa" and model._supports_attention_backend:  # noqa: SLF001 - no public name
        AttentionInterface.register(_NAME, _attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.set_attn_implementation(_NAME)
    return bool(model.config._attn_implementation == _NAME)  # noqa: SLF001 - see above


def leave_packed_attention(model: PreTrainedModel) -> bool:
    """For a model that does not hand `segments` on, though it says so. False where it did not take them anyway."""
    if model.config._attn_implementation != _NAME:  # noqa: SLF001 - see above
        return False
    model.set_attn_implementation("sdpa")
    model._supports_attention_backend = False  # noqa: SLF001 - see above
    return True


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    segments: Sequence[Segment] | None = None,
    **arguments: Any,
) -> tuple[Tensor, None]:
    """
    query: [1, heads, tokens, head_dim]; key, value: [rows, key_value_heads, positions, head_dim], the cache's.
    Gives [1, tokens, heads, head_dim].
    """
    if segments is None:
        if torch.compiler.is_compiling():
            attend = _attend_one_token if query.shape[2] == 1 else _attend_piece
            return attend(query, key, value, attention_mask, **arguments)
        return sdpa_attention_forward(module, query, key, value, attention_mask, **arguments)
    outputs = []
    for segment in segments:
        keys, values = (states[segment.rows, :, : segment.length] for states in (key, value))
        _, heads, _, head_dim = query.shape
        queries = query[0, :, segment.tokens].reshape(heads, len(keys), -1, head_dim).transpose(0, 1)
        mask = _mask_of(segment, attention_mask)
        output, _ = sdpa_attention_forward(module, queries, keys, values, mask, **arguments)
        outputs.append(output.flatten(0, 1))
    return torch.cat(outputs)[None], None


def _mask_of(segment: Segment, number: Tensor | None) -> Tensor | None:
    masks = segment.masks
    if masks is None or masks.shape[1] == 1:
        return masks
    if number is None:
        raise ValueError("a layer is not told which of the masks is its own")
    return masks[:, int(number)][:, None]


def _attend_one_token(
    query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **arguments: Any
) -> tuple[Tensor, None]:
    """As transformers does it outside of a graph: heads that share their keys are so many tokens of one head.

    In a graph it would copy keys and values for each of them (sdpa_attention_forward, `is_torchdynamo_compiling`).
    query: [rows, heads, 1, head_dim]. Gives [rows, 1, heads, head_dim].
    """
    rows, heads, _, head_dim = query.shape
    queries = query.reshape(rows, key.shape[1], -1, head_dim)
    # A module that says nothing of groups: there are none any more.
    output, _ = sdpa_attention_forward(nn.Identity(), queries, key, value, attention_mask, **arguments)
    return output.transpose(1, 2).reshape(rows, 1, heads, head_dim), None


def _attend_piece(
    query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **arguments: Any
) -> tuple[Tensor, None]:
    """Tokens of one row. Heads that share their keys are so many heads of one row of a batch, and nothing is copied.

    query: [1, heads, tokens, head_dim]. Gives [1, tokens, heads, head_dim], contiguous as transformers' own: a model
    may look at it by another shape (modeling_jetmoe.py).
    """
    _, heads, tokens, head_dim = query.shape
    shared = key.shape[1]
    queries = query.reshape(shared, heads // shared, tokens, head_dim)
    keys, values = (
        states[0][:, None].expand(shared, heads // shared, states.shape[2], states.shape[3]) for states in (key, value)
    )
    output, _ = sdpa_attention_forward(nn.Identity(), queries, keys, values, attention_mask, **arguments)
    return output.transpose(1, 2).reshape(1, heads, tokens, head_dim).transpose(1, 2).contiguous(), None
