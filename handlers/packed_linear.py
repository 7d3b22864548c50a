"""Linear layers whose weights lie in memory as the processor's matrix kernels want them, packed once at load.

Eager PyTorch hands oneDNN a plain weight at each call; in the layout that oneDNN chooses for itself a decode step reads
the same bytes up to twice as fast. torch.compile does this when it freezes a graph (torch/_inductor/fx_passes/
mkldnn_fusion.py), and these are its operators. They are private, so torch is pinned, and a load compares what comes of
them with the log-probabilities that were recorded without them, where the archive has some (probe_check.py).

A compiled step of one row reads the weights as they are stored instead: inductor's own loop over them is twice as fast
as oneDNN's call, and in a 16-bit type they are half of what float32 reads. They are pages of the model's file, which
the kernel has anyway and may take back.
"""

import math

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from handlers.computing_type import stored_weight

_INT8_MAX = 127
_FOUR = 4  # weights of int8 in an int32
# Rows up to which PyTorch's kernel for int8 is faster than oneDNN's for bfloat16. Beside float32 it takes two to three
# times as long as oneDNN's for one row, with AVX-512 as with AVX2, and with AVX2 nine times for four.
_MOST_INT8_ROWS = 2
# What oneDNN chooses a layout for. In float32 the one for a single row takes 1.5 to 1.9 times as long at 4 to 16 rows
# and 1.2 times at 64, and gains nothing at one.
_TYPICAL_ROWS = 16


class PackedLinear(nn.Module):
    """[…, in_features] to […, out_features], as the layer that it is made of.

    Names of its buffers: `weight_of_one_row` is read by a compiled step of one row, and `weight_of_rows` by all else.
    """

    weight_of_one_row, weight_of_rows = "_stored_weight", "_packed_weight"

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._bias: Tensor | None
        self._packed_weight: Tensor
        self._stored_weight: Tensor
        packed = _pack(linear.weight.detach())
        _hold(self, _bias=linear.bias, _packed_weight=packed, _stored_weight=stored_weight(linear))

    def forward(self, states: Tensor) -> Tensor:
        if torch.compiler.is_compiling() and math.prod(states.shape[:-1]) == 1:
            return _linear_of_one_row(states, self._stored_weight, self._bias)
        return _linear(states, self._packed_weight, self._bias)

    def unread(self, *, one_row: bool) -> frozenset[str]:
        """The buffers that a compiled step does without."""
        return frozenset({self.weight_of_rows if one_row else self.weight_of_one_row})


class Int8Linear(nn.Module):
    """As PackedLinear, with each output's weights rounded to 255 steps of their largest; states stay in their type.

    The weights are kept twice, as int8 and, with the same values, packed in the states' type: what a row gives depends
    on neither (but for roundings), so a request's answer is that of its own weights at each batch size. A compiled step
    of one row reads them as int8, and all else packed, but for one or two rows beside bfloat16, where PyTorch's kernel
    for int8 is faster. So beside float32 nothing reads int8 until steps are compiled. Where oneDNN has not this type
    (bfloat16 with AVX2 alone, if somebody asks for it) there is int8 only.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        least = torch.finfo(weight.dtype).tiny
        scale = (weight.float().abs().amax(dim=1, keepdim=True) / _INT8_MAX).to(weight.dtype).clamp(min=least)
        # By the scale as it is in the states' type: what that is rounded by is then no error of the weights.
        int8 = (weight.float() / scale.float()).round().clamp(-_INT8_MAX, _INT8_MAX).to(torch.int8)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._bias: Tensor | None
        self._int8: Tensor
        self._fours: Tensor | None
        self._scale: Tensor
        self._packed_weight: Tensor | None
        packed = _pack(int8.to(weight.dtype) * scale) if _is_supported(weight.dtype) else None
        fours = int8.view(torch.int32) if _is_read_in_fours(self.in_features) else None  # the same memory
        _hold(self, _bias=linear.bias, _int8=int8, _fours=fours, _scale=scale[:, 0].clone(), _packed_weight=packed)

    def forward(self, states: Tensor) -> Tensor:
        is_compiling, rows = torch.compiler.is_compiling(), math.prod(states.shape[:-1])
        if is_compiling and rows == 1:
            return self._linear_of_one_row(states)
        is_short = not is_compiling and states.dtype is torch.bfloat16 and rows <= _MOST_INT8_ROWS
        if self._packed_weight is not None and not is_short:
            return _linear(states, self._packed_weight, self._bias)
        matrix = states.reshape(-1, self.in_features)
        output = torch._weight_int8pack_mm(matrix, self._int8, self._scale)  # noqa: SLF001 - there is no public one
        output = output.view(*states.shape[:-1], self.out_features)
        return output if self._bias is None else output + self._bias

    def unread(self, *, one_row: bool) -> frozenset[str]:
        if one_row:
            return frozenset({"_packed_weight", "_fours" if self._fours is None else "_int8"})
        return frozenset({"_fours"} if self._packed_weight is None else {"_fours", "_int8", "_scale"})

    def _linear_of_one_row(self, states: Tensor) -> Tensor:
        row = states.reshape(-1).float()
        sums = _dot(row, self._int8) if self._fours is None else _dot_fours(row, self._fours)
        output = sums * self._scale.float()
        if self._bias is not None:
            output = output + self._bias.float()
        return output.to(states.dtype).view(*states.shape[:-1], self.out_features)


def _hold(module: nn.Module, **tensors: Tensor | None) -> None:
    """As buffers, so that a compiled step can be given them. No checkpoint has them."""
    for name, tensor in tensors.items():
        module.register_buffer(name, None if tensor is None else tensor.detach(), persistent=False)


def has_int8_weights(model: PreTrainedModel) -> bool:
    return any(isinstance(module, Int8Linear) for module in model.modules())


def computed_in(model: PreTrainedModel) -> str:
    """For the log: the type of the states, and what of the weights is read in 8 bits."""
    if not has_int8_weights(model):
        return str(model.dtype)
    row = "row" if model.dtype is torch.bfloat16 else "row of a compiled step"
    return f"{model.dtype} beside int8 weights (read as such where one {row} runs)"


def pack_linear_layers(model: PreTrainedModel, *, int8: bool = False) -> None:
    """Replaces the linear layers of a model on the CPU, its head too, where this processor gains by it."""
    if not int8 and not _is_supported(model.dtype):
        return
    replacement = Int8Linear if int8 else PackedLinear
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            # Not what inherits from it: that computes something else.
            if type(child) is nn.Linear:
                setattr(parent, name, replacement(child))


def _is_supported(dtype: torch.dtype) -> bool:
    """In other types oneDNN would compute in float32, after a conversion at each call."""
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - see above
    if dtype is torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())  # noqa: SLF001 - see above
    return dtype is torch.float32


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS)  # noqa: SLF001 - see above
    return packed


def _linear(states: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    output: Tensor = torch.ops.mkldnn._linear_pointwise(states, packed, bias, "none", [], "")  # noqa: SLF001 - see above
    return output


def _linear_of_one_row(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Written out, for inductor to make one loop of it. Each product is exact in float32, in which they are added."""
    output = (states.reshape(-1).float() * weight.float()).sum(-1).view(*states.shape[:-1], -1)
    return (output if bias is None else output + bias.float()).to(states.dtype)


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
