"""Checks that a checkpoint holds the whole model: transformers draws at random what it lacks, and goes on."""

import itertools
import logging
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import torch
from safetensors import safe_open
from transformers import PreTrainedModel

from handlers.short_list import short_list
from handlers.slot_cache import UnsupportedModelError

logger = logging.getLogger(__name__)

_MASKS = (".attn.bias", ".attn.masked_bias")  # of old GPT checkpoints: models make them themselves now
_FLOATS = ("F64", "F32", "F16", "BF16")  # as safetensors names them


class LoadingInfo(TypedDict):
    """What from_pretrained(output_loading_info=True) tells; tied weights and what a class may lack are left out of it.

    mismatched_keys: the name, the shape in the checkpoint and the shape in the model.
    """

    missing_keys: set[str]
    unexpected_keys: set[str]
    mismatched_keys: set[tuple[str, torch.Size, torch.Size]]


def check_checkpoint(model: PreTrainedModel, directory: Path, info: LoadingInfo) -> None:
    """Looks at a model that was just loaded from the safetensors files of `directory`.

    Raises UnsupportedModelError, which names the tensors, where the model is not the one that was saved. What the
    checkpoint has beyond it is a warning: a model may have parts that generate no text.
    """
    architecture = type(model).__name__
    unexpected = short_list(name for name in info["unexpected_keys"] if not name.endswith(_MASKS))
    if missing := info["missing_keys"]:
        instead = f". It holds instead: {unexpected}" if unexpected else ""
        raise UnsupportedModelError(f"the checkpoint lacks tensors of {architecture}: {short_list(missing)}{instead}")
    if mismatched := info["mismatched_keys"]:
        shapes = short_list(f"{name} is {list(found)} and not {list(due)}" for name, found, due in mismatched)
        raise UnsupportedModelError(f"the checkpoint has other shapes than config.json gives {architecture}: {shapes}")
    if quantized := _quantized(model, directory):
        raise UnsupportedModelError(
            f"the checkpoint is quantized in a way that config.json does not say: {short_list(quantized)}"
        )
    if not_finite := _not_finite(model):
        raise UnsupportedModelError(f"the checkpoint has NaN or infinite numbers: {short_list(not_finite)}")
    if unexpected:
        logger.warning("The checkpoint has tensors that %s does not use: %s", architecture, unexpected)


def likely_missing(directory: Path) -> list[str]:
    """Tensors that are missing, where most of their kind are there: experts.2.w1 if experts 0, 1 and 3 have a w1.

    For a load that failed before anything could be compared: transformers joins the experts of a layer in one tensor.
    """
    kinds: defaultdict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for name, _ in _tensors(directory):
        pieces = re.split(r"(\d+)", name)
        kinds[tuple(pieces[::2])].add(tuple(pieces[1::2]))
    missing = []
    for texts, present in kinds.items():
        choices = [set(column) for column in zip(*present, strict=True)]
        if len(present) < math.prod(map(len, choices)) < 2 * len(present):
            absent = set(itertools.product(*choices)) - present
            missing += ["".join(itertools.chain(*zip(texts, (*numbers, ""), strict=True))) for numbers in absent]
    return missing


def _tensors(directory: Path) -> Iterator[tuple[str, str]]:
    """The name of each tensor in the files, and its data type as safetensors names it."""
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - safe_open gives no mapping
                yield name, file.get_slice(name).get_dtype()


def _quantized(model: PreTrainedModel, directory: Path) -> list[str]:
    """Parameters that are integers or 8-bit floats in the files: without their scales they are other numbers.

    transformers casts them without a word unless it has a quantizer, which it gets by config.json only.
    """
    if getattr(model, "hf_quantizer", None) is not None:
        return []
    parameters = {name for name, _ in model.named_parameters()}
    return [
        name
        for name, dtype in _tensors(directory)
        if dtype not in _FLOATS and not parameters.isdisjoint((name, f"{model.base_model_prefix}.{name}"))
    ]


@torch.inference_mode()
def _not_finite(model: PreTrainedModel) -> list[str]:
    """The self-check would see most of them, but not in what its few tokens do not touch: an embedding, an expert.

    The smallest and the largest number tell it, in 0.02 s for 270 MB (isfinite takes 0.7 s).
    """
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.is_floating_point()
        and parameter.dtype.itemsize > 1  # aminmax knows no 8-bit floats
        and parameter.numel()
        and not torch.stack(torch.aminmax(parameter)).isfinite().all()
    ]
