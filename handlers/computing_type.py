"""The data type that a processor computes a model in: the fastest one that loses nothing of its weights.

Every bfloat16 and every float16 is a float32, too. Without units of its own a 16-bit type is computed in float32
anyway, after a conversion at each call.
"""

import logging
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

_STORED = "_stored_weight"

logger = logging.getLogger(__name__)

# The names in torch.cpu.get_capabilities().
_X86_UNITS = {torch.bfloat16: ("avx512_bf16", "amx_bf16"), torch.float16: ("avx512_fp16", "amx_fp16")}


def computed_by_this_processor(model: PreTrainedModel) -> PreTrainedModel:
    """A model on the CPU, in float32 where it is in a type that this processor has no units for."""
    stored, num_bytes = model.dtype, _weight_bytes(model)
    if stored in _X86_UNITS and not has_units_for(stored):
        _keep_stored_weights(model)
        model = model.float()
        logger.info(
            "torchbridge: the weights take %d MB: this processor has no units for %s (%d MB), so they are in float32",
            _weight_bytes(model) // 10**6,
            stored,
            num_bytes // 10**6,
        )
    else:
        logger.info("torchbridge: the weights take %d MB in %s, as they are stored", num_bytes // 10**6, stored)
    return model


def type_beside_int8() -> Literal["bfloat16", "float32"]:
    """The type of states, norms and embeddings. The weights lose more in 8 bits than these in bfloat16."""
    return "bfloat16" if has_units_for(torch.bfloat16) else "float32"


def stored_weight(linear: nn.Linear) -> Tensor:
    """The weight in the type of the model's file, if the layer's own is made of it."""
    stored = getattr(linear, _STORED, linear.weight)
    assert isinstance(stored, Tensor)  # noqa: S101 - for mypy
    return stored.detach()


def _keep_stored_weights(model: PreTrainedModel) -> None:
    for module in model.modules():
        if type(module) is nn.Linear:
            setattr(module, _STORED, module.weight.detach())  # no parameter: it stays as it is when those change


def has_units_for(dtype: torch.dtype) -> bool:
    """Whether this processor multiplies matrices of this 16-bit type by itself, and oneDNN lets it."""
    if dtype is torch.bfloat16:
        is_taken = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - there is no public one
    else:
        is_taken = torch.ops.mkldnn._is_mkldnn_fp16_supported()  # noqa: SLF001 - there is no public one
    features = torch.cpu.get_capabilities()
    if features["architecture"] != "x86_64":
        return bool(is_taken)
    # oneDNN says yes to every AVX-512, and computes in float32 where there is nothing more.
    return bool(is_taken) and any(features[unit] for unit in _X86_UNITS[dtype])


def _weight_bytes(model: PreTrainedModel) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())
