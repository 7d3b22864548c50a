"""A random model as it is stored, and as the worker serves it."""

import copy
from enum import Enum

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from benchmarks.random_models import random_model
from handlers.computing_type import type_beside_int8
from handlers.linear_layers import pack_linear_layers


class Variant(Enum):
    STORED = "stored"
    PACKED = "packed"
    INT8 = "int8"


def load(size: str, dtype: torch.dtype, *, joined: bool = True) -> dict[Variant, PreTrainedModel]:
    """INT8 is there for bfloat16 only, with the type beside it that a worker takes here.

    joined: as of pack_linear_layers.
    """
    stored: PreTrainedModel = AutoModelForCausalLM.from_pretrained(random_model(size, dtype), dtype=dtype).eval()
    packed = copy.deepcopy(stored)
    pack_linear_layers(packed, joined=joined)
    models = {Variant.STORED: stored, Variant.PACKED: packed}
    if dtype is torch.bfloat16:
        models[Variant.INT8] = copy.deepcopy(stored).to(getattr(torch, type_beside_int8()))
        pack_linear_layers(models[Variant.INT8], int8=True, joined=joined)
    return models
