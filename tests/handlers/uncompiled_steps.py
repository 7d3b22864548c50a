"""The modules that compiled steps are made of, uncompiled, so that no compiler is needed, or one library alone."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from torch import Tensor
from transformers import PreTrainedModel

from handlers.attention_masks import AttentionMasks
from handlers.compiled_library import CompiledLibrary
from handlers.compiled_steps import allocate
from handlers.slot_cache import SlotCache, num_cache_layers
from handlers.step_graph import StepGraph, StepKind, compile_step, tensors_of


class UncompiledSteps:
    """Used as CompiledSteps. libraries: compute their kinds of steps instead, one row alone excepted.

    calls: the numbers of tokens of a row and of masks. library_calls: of how many rows each call of a library was.
    """

    has_pieces = True

    def __init__(
        self,
        model: PreTrainedModel,
        context_length: int,
        libraries: Mapping[StepKind, CompiledLibrary] = MappingProxyType({}),
    ) -> None:
        masks = AttentionMasks.of(model.config, context_length)
        self._steps = {kind: StepGraph(model, masks, kind) for kind in (StepKind.MORE_ROWS, StepKind.PIECE)}
        self._weights = {kind: list(tensors_of(model, kind).values()) for kind in self._steps}
        self._libraries = libraries
        self.calls: list[tuple[int, int]] = []
        self.library_calls: list[int] = []

    def __call__(self, tokens: Tensor, positions: Tensor, masks: Tensor, states: list[Tensor]) -> Tensor:
        rows, count = tokens.shape
        self.calls.append((count, masks.shape[1]))
        kind = StepKind.MORE_ROWS if count == 1 else StepKind.PIECE
        if kind in self._libraries and (rows, count) != (1, 1):
            self.library_calls.append(rows)
            return self._libraries[kind]([tokens, positions, masks, *states, *self._weights[kind]])
        logits: Tensor = self._steps[kind](tokens, positions, masks, states, self._weights[kind])
        return logits


def compile_one_kind(
    model: PreTrainedModel, kind: StepKind, slots: int, context_length: int, directory: Path
) -> UncompiledSteps:
    """Steps of which this kind alone has a library: each takes the compiler 20 seconds."""
    cache = SlotCache(num_cache_layers(model.config, context_length), slots, context_length)
    allocate(model, cache)
    compile_step(model, cache.states, directory, kind)
    return UncompiledSteps(model, context_length, {kind: CompiledLibrary(directory / kind.value)})
