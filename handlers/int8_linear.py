"""Linear layers with weights of 8 bits."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from handlers.packed_product import PackedProduct, hold, is_supported

_INT8_MAX = 127
_FOUR = 4  # weights of int8 in an int32
# Rows up to which PyTorch's kernel for int8 is faster than oneDNN's for bfloat16. Beside float32 it takes two to three
# times as long as oneDNN's for one row, with AVX-512 as with AVX2, and with AVX2 nine times for four.
_MOST_INT8_ROWS = 2


class Int8Weight(NamedTuple):
    """int8: [out_features, in_features]; scale: [out_features, 1], of the states' type."""

    int8: Tensor
    scale: Tensor

    @classmethod
    def of(cls, weight: Tensor) -> "Int8Weight":
        least = torch.finfo(weight.dtype).tiny
        scale = (weight.float().abs().amax(dim=1, keepdim=True) / _INT8_MAX).to(weight.dtype).clamp(min=least)
        # Divided by the scale in the states' type: the scale's own rounding is then no error of the weights.
        return cls((weight.float() / scale.float()).round().clamp(-_INT8_MAX, _INT8_MAX).to(torch.int8), scale)

    def in_the_states_type(self) -> Tensor:
        return self.int8.to(self.scale.dtype) * self.scale


class Int8Linear(nn.Module):
    """As PackedLinear, with each output's weights rounded to 255 steps of their largest; states stay in their type.

    The weights are kept twice, as int8 and, with the same values, packed in the states' type: what a row gives depends
    on neither (but for roundings), so a request's answer is that of its own weights at each batch size. A compiled step
    of one row reads them as int8, and all else packed, but for one or two rows beside bfloat16, where PyTorch's kernel
    for int8 is faster. So beside float32 nothing reads int8 until steps are compiled. Where oneDNN has not this type
    (bfloat16 with AVX2 alone, if somebody asks for it) there is int8 only.
    """

    def __init__(self, weight: Int8Weight, bias: Tensor | None, product: PackedProduct | None, index: int) -> None:
        """index: which of the product's layers it is."""
        super().__init__()
        self.out_features, self.in_features = weight.int8.shape
        self._product = product if index == 0 else None  # in one place, where torch.func looks for its tensors
        self._output: Callable[[Tensor], Tensor] | None = None if product is None else partial(product, layer=index)
        self._bias: Tensor | None
        self._int8: Tensor
        self._fours: Tensor | None
        self._scale: Tensor
        fours = weight.int8.view(torch.int32) if _is_read_in_fours(self.in_features) else None  # the same memory
        hold(self, _bias=bias, _int8=weight.int8, _fours=fours, _scale=weight.scale[:, 0].clone())

    def forward(self, states: Tensor) -> Tensor:
        is_compiling, rows = torch.compiler.is_compiling(), math.prod(states.shape[:-1])
        if is_compiling and rows == 1:
            return self._linear_of_one_row(states)
        is_short = not is_compiling and states.dtype is torch.bfloat16 and rows <= _MOST_INT8_ROWS
        if self._output is not None and not is_short:
            return self._output(states)
        matrix = states.reshape(-1, self.in_features)
        output = torch._weight_int8pack_mm(matrix, self._int8, self._scale)  # noqa: SLF001 - there is no public one
        output = output.view(*states.shape[:-1], self.out_features)
        return output if self._bias is None else output + self._bias

    def unread(self, *, one_row: bool) -> frozenset[str]:
        """As in PackedLinear."""
        if one_row:
            return frozenset({"_product._weight", "_product._bias", "_fours" if self._fours is None else "_int8"})
        return frozenset({"_fours"} if self._output is None else {"_fours", "_int8", "_scale", "_bias"})

    def _linear_of_one_row(self, states: Tensor) -> Tensor:
        row = states.reshape(-1).float()
        sums = _dot(row, self._int8) if self._fours is None else _dot_fours(row, self._fours)
        output = sums * self._scale.float()
        if self._bias is not None:
            output = output + self._bias.float()
        return output.to(states.dtype).view(*states.shape[:-1], self.out_features)


def int8_layers(linears: Sequence[nn.Linear]) -> list[Int8Linear]:
    """The layers in 8 bits, of ones that are given the same states."""
    weights, biases = [Int8Weight.of(linear.weight.detach()) for linear in linears], [each.bias for each in linears]
    product = None
    if is_supported(linears[0].weight.dtype):
        product = PackedProduct([weight.in_the_states_type() for weight in weights], biases)
    pairs = enumerate(zip(weights, biases, strict=True))
    return [Int8Linear(weight, bias, product, index) for index, (weight, bias) in pairs]


def _is_read_in_fours(inputs: int) -> bool:
    """Inductor has vectors of int8 with AVX-512 only; elsewhere it reads them one by one, eight times as slowly."""
    return inputs % _FOUR == 0 and torch.backends.cpu.get_cpu_capability() != "AVX512"


def _dot(row: Tensor, int8: Tensor) -> Tensor:
    """[inputs] of float32 and [outputs, inputs] to [outputs]."""
    # as_strided has inductor write the row down as float32, and not convert it again for each output.
    return (row.as_strided(row.shape, (1,)) * int8.float()).sum(-1)


def _dot_fours(row: Tensor, fours: Tensor) -> Tensor:
    """The same for [outputs, inputs / 4] of int32, each of which is four weights: the lowest byte is the first one."""
    count = fours.shape[1]
    # Every fourth input in a row of its own, written down as in _dot.
    inputs = row.view(count, _FOUR).t().contiguous().as_strided((_FOUR, count), (count, 1))
    # To the top and down again, which spreads the sign.
    first, second, third, last = (inputs[at] * ((fours << (24 - 8 * at)) >> 24).float() for at in range(_FOUR))
    return ((first + second) + (third + last)).sum(-1)
