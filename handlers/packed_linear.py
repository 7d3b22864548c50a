"""Linear layers that read their weights packed.

A compiled step of one row reads the weights as they are stored instead: inductor's own loop over them is twice as fast
as oneDNN's call, and in a 16-bit type they are half of what float32 reads. They are pages of the model's file, which
the kernel has anyway and may take back.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from handlers.computing_type import stored_weight
from handlers.packed_product import PackedProduct, hold


class PackedLinear(nn.Module):
    """[…, in_features] to […, out_features], as the layer that it is made of.

    Names of its tensors: `weight_of_one_row` is read by a compiled step of one row, and `weight_of_rows` by all else.
    """

    weight_of_one_row, weight_of_rows = "_stored_weight", "_product._weight"

    def __init__(self, linear: nn.Linear, product: PackedProduct, index: int) -> None:
        """index: which of the product's layers it is."""
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._product = product if index == 0 else None  # in one place, where torch.func looks for its tensors
        self._output: Callable[[Tensor], Tensor] = partial(product, layer=index)
        self._bias: Tensor | None
        self._stored_weight: Tensor
        hold(self, _bias=linear.bias, _stored_weight=stored_weight(linear))

    def forward(self, states: Tensor) -> Tensor:
        if torch.compiler.is_compiling() and math.prod(states.shape[:-1]) == 1:
            return self._linear_of_one_row(states)
        return self._output(states)

    def unread(self, *, one_row: bool) -> frozenset[str]:
        """The buffers that a compiled step does without."""
        return frozenset({self.weight_of_rows, "_product._bias"} if one_row else {self.weight_of_one_row, "_bias"})

    def _linear_of_one_row(self, states: Tensor) -> Tensor:
        """Written out, for inductor to make one loop of it. Products are exact in float32, in which they are added."""
        output = (states.reshape(-1).float() * self._stored_weight.float()).sum(-1).view(*states.shape[:-1], -1)
        return (output if self._bias is None else output + self._bias.float()).to(states.dtype)


def packed_layers(linears: Sequence[nn.Linear]) -> list[PackedLinear]:
    """The packed layers, of ones that are given the same states."""
    product = PackedProduct([linear.weight.detach() for linear in linears], [linear.bias for linear in linears])
    return [PackedLinear(linear, product, index) for index, linear in enumerate(linears)]
