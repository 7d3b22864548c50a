"""A decode step as one graph, compiled ahead of time: nothing of Python is left in it, and small operations are fused.

AOTInductor makes it a shared library for this processor and this version of torch. For one row most of the gain is that
of kernels that read weights faster than oneDNN's, for 16 it is that of what is fused. It needs a C++ compiler and takes
minutes, so it is done before a server starts, never while one loads.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.export import Dim
from transformers import PreTrainedModel

from handlers.packed_attention import use_packed_attention
from handlers.slot_cache import SlotCache, UnsupportedModelError, Window

# Freezing gives linear layers their weights in the layout of the processor's matrix kernels.
_OPTIONS: dict[str, Any] = {"freezing": True, "cpp.dynamic_threads": True}
# For one row inductor's own kernels read the weights up to twice as fast as oneDNN's; for more they gain nothing.
_OPTIONS_OF_ONE_ROW = _OPTIONS | {"max_autotune": True, "max_autotune_gemm_backends": "CPP,ATEN"}
_TYPICAL_ROWS = 16


class DecodeStep(nn.Module):
    """The next logits, [rows, vocabulary], of the cache's rows 0, 1, …, whose new tokens it puts into the cache.

    states: keys and values of each layer in turn, [slots, key_value_heads, capacity, head_dim]; changed in place.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self._model = model

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor, states: list[Tensor]) -> Tensor:
        """tokens, positions: [rows, 1]; mask: [rows, 1, 1, length], added to the scores."""
        rows = tokens.shape[0]
        cache = SlotCache.of(states)
        row_index = torch.arange(rows, device=tokens.device)[:, None]
        cache.aim(Window(slice(0, rows), row_index, positions, mask.shape[-1]))
        logits = self._model(
            input_ids=tokens, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=True
        ).logits
        return cast(Tensor, logits[:, -1])


def compile_decode_step(model: PreTrainedModel, states: list[Tensor], file: Path, *, one_row: bool) -> None:
    """Writes the shared library of a step for one row, or for 2 and more.

    model: with its own linear layers, on the CPU. states: of the cache that the step will be used with.
    Raises UnsupportedModelError where the model cannot be one graph.
    """
    if not use_packed_attention(model):
        raise UnsupportedModelError(f"{model.config.model_type} models have attention of their own: no compiled step")
    slots, _, capacity, _ = states[0].shape
    rows = 1 if one_row else min(_TYPICAL_ROWS, slots)
    length = capacity // 2
    arguments = (
        torch.zeros(rows, 1, dtype=torch.long),
        torch.full((rows, 1), length - 1),
        torch.zeros(rows, 1, 1, length, dtype=model.dtype),
        states,
    )
    any_rows = {} if one_row else {0: Dim("rows", min=2, max=slots)}
    # A view of the whole capacity has other strides than a shorter one. The last token of a context is never looked at.
    any_length = {3: Dim("length", min=2, max=capacity - 1)}
    with torch.no_grad():
        program = torch.export.export(
            DecodeStep(model),
            arguments,
            dynamic_shapes=(any_rows, any_rows, any_rows | any_length, [None] * len(states)),
            strict=False,
        )
    options = _OPTIONS_OF_ONE_ROW if one_row else _OPTIONS
    with torch.no_grad(), tempfile.TemporaryDirectory() as directory:  # the sources lie beside the library
        library = str(Path(directory) / file.name)
        torch._inductor.aot_compile(  # noqa: SLF001 - its public sibling writes an archive of the library
            program.module(), arguments, options=options | {"aot_inductor.output_path": library}
        )
        shutil.move(library, file)
