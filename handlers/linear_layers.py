"""The linear layers of a model, as the processor computes them fastest."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from handlers.int8_linear import Int8Linear, int8_layers
from handlers.packed_linear import packed_layers
from handlers.packed_product import is_supported

# transformers' names of layers that are given the same states.
_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


def pack_linear_layers(model: PreTrainedModel, *, int8: bool = False, joined: bool = True) -> None:
    """Replaces the linear layers of a model on the CPU, its head too, where this processor gains by it.

    joined: whether those that are given the same states are one product.
    """
    if not int8 and not is_supported(model.dtype):
        return
    replacements = int8_layers if int8 else packed_layers
    for parent in list(model.modules()):
        for group in list(_groups(parent, _TOGETHER if joined else ())):
            linears = [linear for _, linear in group]
            for (name, _), replacement in zip(group, replacements(linears), strict=True):
                setattr(parent, name, replacement)


def _groups(parent: nn.Module, together: Sequence[Sequence[str]]) -> Iterator[Sequence[tuple[str, nn.Linear]]]:
    """The linear layers of `parent`, those together that are given the same states."""
    # The very class: one that inherits from it computes something else.
    linears = {name: child for name, child in parent.named_children() if type(child) is nn.Linear}
    for names in together:
        group = [(name, linears[name]) for name in names if name in linears]
        if len({(linear.in_features, linear.weight.dtype) for _, linear in group}) == 1:
            yield group
            linears = {name: linear for name, linear in linears.items() if name not in names}
    yield from ([each] for each in linears.items())


def has_int8_weights(model: PreTrainedModel) -> bool:
    return any(isinstance(module, Int8Linear) for module in model.modules())


def computed_in(model: PreTrainedModel) -> str:
    """For the log: the type of the states, and what of the weights is read in 8 bits."""
    if not has_int8_weights(model):
        return str(model.dtype)
    row = "row" if model.dtype is torch.bfloat16 else "row of a compiled step"
    return f"{model.dtype} beside int8 weights (read as such where one {row} runs)"
