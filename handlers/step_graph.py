"""A decode step, or one for a piece of a prompt, as one graph, compiled ahead of time.

Nothing of Python is left in it, and small operations are fused. AOTInductor makes it a shared library for this
processor and this version of torch. The model's tensors are its inputs, as the worker has them: the library is small,
and every model of the same shape can be called with it. It needs a C++ compiler and takes a minute or more, so it is
never done while a worker loads.
"""

import shutil
import tempfile
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim, ExportedProgram
from torch.func import functional_call
from transformers import PreTrainedModel

from handlers.attention_masks import AttentionMasks
from handlers.int8_linear import Int8Linear
from handlers.packed_attention import use_packed_attention
from handlers.packed_inputs import packed_weights_as_inputs
from handlers.packed_linear import PackedLinear
from handlers.slot_cache import SlotCache, UnsupportedModelError, Window

_OPTIONS: dict[str, Any] = {
    "cpp.dynamic_threads": True,
    # 283 MB, which would stay in the directory for temporary files whatever cache inductor is given (codecache.py,
    # _HEADER_DIR). They save nothing where a few libraries are made and no more.
    "aot_inductor.precompile_headers": False,
    "aot_inductor.enable_line_tables": False,  # for profilers; more than half of a library
}
_TYPICAL_ROWS = 16
# The longest piece. A longer one would look at more that its mask hides: 1,024 tokens at once take 1.2 times as long.
MOST_TOKENS = 256
_TYPICAL_TOKENS = 64


class StepKind(Enum):
    """What a step computes: a new token of one row or of each of several rows, or a piece of one row's prompt."""

    ONE_ROW = "one_row.so"
    MORE_ROWS = "more_rows.so"
    PIECE = "piece.so"


def tensors_of(model: PreTrainedModel, kind: StepKind) -> dict[str, Tensor]:
    """All that such a step reads: parameters, and buffers such as rotary frequencies. Tied ones are there once."""
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    read_either_way = _modules_of_one_token_or_all(model) if kind is StepKind.PIECE else frozenset()
    unread = {
        f"{name}.{buffer}"
        for name, module in model.named_modules()
        if isinstance(module, PackedLinear | Int8Linear) and module not in read_either_way
        for buffer in module.unread(one_row=kind is StepKind.ONE_ROW)
    }
    return {name: tensor for name, tensor in tensors.items() if name not in unread}


def _modules_of_one_token_or_all(model: PreTrainedModel) -> frozenset[nn.Module]:
    """For a piece: the head, and what stands before it (modeling_bert.py, BertLMPredictionHead).

    `logits_to_keep` leaves the last token there. A model does not say which modules these are, only which ones are not.
    """
    base = model.base_model
    return frozenset(model.modules()) - (frozenset() if base is model else frozenset(base.modules()))


class StepGraph(nn.Module):
    """The next logits, [rows, vocabulary], of the cache's rows 0, 1, …, whose new tokens it puts into the cache.

    states: keys and values of each layer in turn, [slots, key_value_heads, capacity, head_dim]; changed in place.
    weights: as tensors_of has them for this kind.
    """

    def __init__(self, model: PreTrainedModel, masks: AttentionMasks, kind: StepKind) -> None:
        super().__init__()
        self._masks = masks
        self._names = list(tensors_of(model, kind))
        self._call = partial(functional_call, model)  # not a part of this module, whose tensors would be in the graph

    def forward(
        self, tokens: Tensor, positions: Tensor, masks: Tensor, states: list[Tensor], weights: list[Tensor]
    ) -> Tensor:
        """tokens, positions: [rows, tokens]; masks: [rows, masks, tokens, length], added to the scores.

        Several tokens are of one row, and the logits are those after the last one.
        """
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
            "logits_to_keep": 1,
        }
        named = dict(zip(self._names, weights, strict=True))
        return cast(Tensor, self._call(named, kwargs=arguments).logits[:, -1])


def compile_step(model: PreTrainedModel, states: list[Tensor], directory: Path, kind: StepKind) -> None:
    """Writes the shared library of such a step, by the name of its kind.

    model: on the CPU, as a worker has it. states: of the cache that the step will be used with.
    Only the shapes of their tensors are looked at. Raises UnsupportedModelError where it cannot be one graph, or one
    that would hold this model's own weights.
    """
    if not use_packed_attention(model):
        raise UnsupportedModelError(f"{model.config.model_type} models have attention of their own: no compiled step")
    try:
        program, arguments = _exported(model, states, kind)
    except RuntimeError as error:
        raise UnsupportedModelError(f"{model.config.model_type} models cannot be one graph: {error}") from error
    file = directory / kind.value
    # The sources lie beside the library.
    with torch.no_grad(), packed_weights_as_inputs(), tempfile.TemporaryDirectory(dir=directory) as sources:
        library = str(Path(sources) / file.name)
        torch._inductor.aot_compile(  # noqa: SLF001 - its public sibling writes an archive of the library
            program.module(), arguments, options=_OPTIONS | {"aot_inductor.output_path": library}
        )
        shutil.move(library, file)


def _exported(
    model: PreTrainedModel, states: list[Tensor], kind: StepKind
) -> tuple[ExportedProgram, tuple[Tensor | list[Tensor], ...]]:
    """The exported graph, and typical arguments without values. Raises UnsupportedModelError if it holds weights."""
    slots, _, capacity, _ = states[0].shape
    rows = min(_TYPICAL_ROWS, slots) if kind is StepKind.MORE_ROWS else 1
    tokens = min(_TYPICAL_TOKENS, capacity // 4) if kind is StepKind.PIECE else 1
    length = capacity // 2
    masks = AttentionMasks.of(model.config, capacity)
    with FakeTensorMode(allow_non_fake_inputs=True):
        arguments = (
            torch.zeros(rows, tokens, dtype=torch.long),
            torch.full((rows, tokens), length - 1),
            torch.zeros(rows, len(masks.windows), tokens, length, dtype=model.dtype),
            [torch.empty(each.shape, dtype=each.dtype) for each in states],
            [torch.empty(each.shape, dtype=each.dtype) for each in tensors_of(model, kind).values()],
        )
    any_rows = {0: Dim("rows", min=2, max=slots)} if kind is StepKind.MORE_ROWS else {}
    any_tokens = Dim("tokens", min=2, max=min(MOST_TOKENS, capacity - 1)) if kind is StepKind.PIECE else Dim.STATIC
    # A view of the whole capacity has other strides than a shorter one. The last token of a context is never looked at.
    any_length = Dim("length", min=2, max=capacity - 1)
    of_tokens = any_rows | {1: any_tokens}
    fixed = tuple([None] * len(each) for each in arguments[3:])
    with torch.no_grad():
        program = torch.export.export(
            StepGraph(model, masks, kind),
            arguments,
            dynamic_shapes=(of_tokens, of_tokens, any_rows | {2: any_tokens, 3: any_length}, *fixed),
            strict=False,
        )
    _check_holds_no_weights(program, model)
    return program, arguments


def _check_holds_no_weights(program: ExportedProgram, model: PreTrainedModel) -> None:
    """Raises UnsupportedModelError where something is read that tensors_of leaves out.

    It would be a constant of the library, which another archive of this shape is computed with, too.
    """
    tensors = [*model.parameters(), *model.buffers()]
    own = {each.untyped_storage().data_ptr() for each in tensors if _has_storage(each)}
    for held in program.constants.values():
        if isinstance(held, Tensor) and (not _has_storage(held) or held.untyped_storage().data_ptr() in own):
            weights = f"weights {list(held.shape)}"
            raise UnsupportedModelError(f"a compiled step of {model.config.model_type} models would hold {weights}")


def _has_storage(tensor: Tensor) -> bool:
    """Weights that oneDNN has packed have none that could be asked for."""
    return tensor.layout is torch.strided
