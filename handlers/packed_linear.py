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
# Rows up to which int8 weights are read as such. For more, oneDNN's bfloat16 kernel is faster than PyTorch's for int8.
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


class Int8Linear(nn.Module):
    """As PackedLinear, with each output's weights rounded to 255 steps of their largest; states stay in bfloat16.

    The weights are kept twice, as int8 and, with the same values, packed in bfloat16: what a row gives depends on
    neither (but for the order of additions), so a request's answer is that of its own weights at each batch size.
    Where oneDNN has no bfloat16 (processors with AVX2 alone) they are kept as int8 only, and read as such for any
    number of rows: that takes a half to a third of the time of PyTorch's own bfloat16 there.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = (weight.abs().amax(dim=1, keepdim=True) / _INT8_MAX).clamp(min=torch.finfo(torch.float32).tiny)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._bias: Tensor | None
        self._int8: Tensor
        self._scale: Tensor
        self._packed: Tensor | None
        int8 = (weight / scale).round().to(torch.int8)
        scale = scale[:, 0].to(torch.bfloat16)
        rounded = int8.to(torch.bfloat16) * scale[:, None]
        packed = _pack(rounded) if _is_supported(torch.bfloat16) else None
        _hold(self, _bias=linear.bias, _int8=int8, _scale=scale, _packed=packed)

    def forward(self, states: Tensor) -> Tensor:
        rows = states.reshape(-1, self.in_features)
        if self._packed is not None and len(rows) > _MOST_INT8_ROWS:
            output = _linear(states, self._packed, None)
        else:
            output = torch._weight_int8pack_mm(rows, self._int8, self._scale)  # noqa: SLF001 - there is no public one
            output = output.view(*states.shape[:-1], self.out_features)
        return output if self._bias is None else output + self._bias


def _hold(module: nn.Module, **tensors: Tensor | None) -> None:
    """As buffers, so that a compiled step can be given them. No checkpoint has them."""
    for name, tensor in tensors.items():
        module.register_buffer(name, None if tensor is None else tensor.detach(), persistent=False)


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
