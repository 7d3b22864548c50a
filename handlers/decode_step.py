"""A decode step as one graph, compiled ahead of time: nothing of Python is left in it, and small operations are fused.

AOTInductor makes it a shared library for this processor and this version of torch. The model's tensors are its inputs,
as the worker has them: the library is small, and every model of the same shape can be called with it. It needs a C++
compiler and takes a minute or more, so it is never done while a worker loads.
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim
from torch.func import functional_call
from transformers import PreTrainedModel

from handlers.attention_masks import AttentionMasks
from handlers.packed_attention import use_packed_attention
from handlers.packed_inputs import packed_weights_as_inputs
from handlers.packed_linear import PackedLinear
from handlers.slot_cache import SlotCache, UnsupportedModelError, Window

_OPTIONS: dict[str, Any] = {
    "cpp.dynamic_threads": True,
    # 283 MB, which would stay in the directory for temporary files whatever cache inductor is given (codecache.py,
    # _HEADER_DIR). They save nothing where two libraries are made and no more.
    "aot_inductor.precompile_headers": False,
    "aot_inductor.enable_line_tables": False,  # for profilers; more than half of a library
}
_TYPICAL_ROWS = 16


def tensors_of(model: PreTrainedModel, *, one_row: bool) -> dict[str, Tensor]:
    """All that such a step reads: parameters, and buffers such as rotary frequencies. Tied ones are there once."""
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    unread = PackedLinear.weight_of_rows if one_row else PackedLinear.weight_of_one_row
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(f".{unread}")}


class DecodeStep(nn.Module):
    """The next logits, [rows, vocabulary], of the cache's rows 0, 1, …, whose new tokens it puts into the cache.

    states: keys and values of each layer in turn, [slots, key_value_heads, capacity, head_dim]; changed in place.
    weights: as tensors_of has them for `one_row`, which is the only number of rows then.
    """

    def __init__(self, model: PreTrainedModel, masks: AttentionMasks, *, one_row: bool = False) -> None:
        super().__init__()
        self._masks = masks
        self._names = list(tensors_of(model, one_row=one_row))
        self._call = partial(functional_call, model)  # not a part of this module, whose tensors would be in the graph

    def forward(
        self, tokens: Tensor, positions: Tensor, masks: Tensor, states: list[Tensor], weights: list[Tensor]
    ) -> Tensor:
        """tokens, positions: [rows, 1]; masks: [rows, masks, 1, length], added to the scores (AttentionMasks)."""
        rows = tokens.shape[0]
        cache = SlotCache.of(states)
        row_index = torch.arange(rows, device=tokens.device)[:, None]
        cache.aim(Window(slice(0, rows), row_index, positions, masks.shape[-1]))
        arguments = {
            "input_ids": tokens,
            "position_ids": positions,
            "attention_mask": self._masks.by_layer_type(masks),
            "past_key_values": cache,
            "use_cache": True,
        }
        named = dict(zip(self._names, weights, strict=True))
        return cast(Tensor, self._call(named, kwargs=arguments).logits[:, -1])


def compile_decode_step(model: PreTrainedModel, states: list[Tensor], file: Path, *, one_row: bool) -> None:
    """Writes the shared library of a step for one row, or for 2 and more.

    model: on the CPU, as a worker has it. states: of the cache that the step will be used with.
    Only the shapes of their tensors are looked at. Raises UnsupportedModelError where it cannot be one graph.
    """
    if not use_packed_attention(model):
        raise UnsupportedModelError(f"{model.config.model_type} models have attention of their own: no compiled step")
    slots, _, capacity, _ = states[0].shape
    rows = 1 if one_row else min(_TYPICAL_ROWS, slots)
    length = capacity // 2
    masks = AttentionMasks.of(model.config, capacity)
    with FakeTensorMode(allow_non_fake_inputs=True):
        arguments = (
            torch.zeros(rows, 1, dtype=torch.long),
            torch.full((rows, 1), length - 1),
            torch.zeros(rows, len(masks.windows), 1, length, dtype=model.dtype),
            [torch.empty(each.shape, dtype=each.dtype) for each in states],
            [torch.empty(each.shape, dtype=each.dtype) for each in tensors_of(model, one_row=one_row).values()],
        )
    any_rows = {} if one_row else {0: Dim("rows", min=2, max=slots)}
    # A view of the whole capacity has other strides than a shorter one. The last token of a context is never looked at.
    any_length = {3: Dim("length", min=2, max=capacity - 1)}
    fixed = tuple([None] * len(each) for each in arguments[3:])
    with torch.no_grad():
        program = torch.export.export(
            DecodeStep(model, masks, one_row=one_row),
            arguments,
            dynamic_shapes=(any_rows, any_rows, any_rows | any_length, *fixed),
            strict=False,
        )
    # The sources lie beside the library.
    with torch.no_grad(), packed_weights_as_inputs(), tempfile.TemporaryDirectory(dir=file.parent) as directory:
        library = str(Path(directory) / file.name)
        torch._inductor.aot_compile(  # noqa: SLF001 - its public sibling writes an archive of the library
            program.module(), arguments, options=_OPTIONS | {"aot_inductor.output_path": library}
        )
        shutil.move(library, file)
