"""Products with weights that lie in memory as the processor's matrix kernels want them, packed once at load.

Eager PyTorch hands oneDNN a plain weight at each call; in the layout that oneDNN chooses for itself a decode step reads
the same bytes up to twice as fast. torch.compile does this when it freezes a graph (torch/_inductor/fx_passes/
mkldnn_fusion.py), and these are its operators. They are private, so torch is pinned, and a load compares what comes of
them with the log-probabilities that were recorded without them, where the archive has some (probe_check.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Rows for which oneDNN chooses a layout. In float32 the one for a single row takes 1.5 to 1.9 times as long at 4 to 16
# and 1.2 times at 64, and gains nothing at one.
_TYPICAL_ROWS = 16


class PackedProduct(nn.Module):
    """The outputs of layers that are given the same states, with their weights side by side: one call for all of them.

    16 streams of short chats gain 7 % by it. The layers ask one after another, and the first one has it computed.
    A layer with other states gets what is right, too, at the price of all.

    weights: of each layer, [out_features, in_features]; biases: of each, [out_features] or None.
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> None:
        super().__init__()
        self._sizes = [len(weight) for weight in weights]
        self._weight: Tensor
        self._bias: Tensor | None
        hold(self, _weight=_pack(_side_by_side(weights)), _bias=_joined(weights, biases))
        self._states: Tensor | None = None
        self._outputs: dict[int, Tensor] = {}  # the outputs of these states that have not been asked for

    def forward(self, states: Tensor, layer: int) -> Tensor:
        """[…, in_features] to the […, out_features] of this layer."""
        if states is not self._states or layer not in self._outputs:
            self._states, self._outputs = states, dict(enumerate(self._compute(states)))
        output = self._outputs.pop(layer)
        if not self._outputs:
            self._states = None
        return output

    def _compute(self, states: Tensor) -> Sequence[Tensor]:
        output: Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 - see above
            states, self._weight, self._bias, "none", [], ""
        )
        return torch.split_with_sizes(output, self._sizes, dim=-1) if len(self._sizes) > 1 else [output]


def hold(module: nn.Module, **tensors: Tensor | None) -> None:
    """Keeps them as buffers, so that a compiled step can be given them. No checkpoint has them."""
    for name, tensor in tensors.items():
        module.register_buffer(name, None if tensor is None else tensor.detach(), persistent=False)


def is_supported(dtype: torch.dtype) -> bool:
    """In other types oneDNN would compute in float32, after a conversion at each call."""
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - see above
    if dtype is torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())  # noqa: SLF001 - see above
    return dtype is torch.float32


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS)  # noqa: SLF001 - see above
    return packed


def _side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def _joined(weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Tensor | None:
    if all(bias is None for bias in biases):
        return None
    pairs = zip(weights, biases, strict=True)
    return _side_by_side([weight.new_zeros(len(weight)) if bias is None else bias for weight, bias in pairs])
