"""The modules that compiled steps are made of, uncompiled, so that no compiler is needed."""

from torch import Tensor
from transformers import PreTrainedModel

from handlers.attention_masks import AttentionMasks
from handlers.compiled_library import CompiledLibrary
from handlers.step_graph import StepGraph, StepKind, tensors_of


class UncompiledSteps:
    """Used as CompiledSteps. piece: computes pieces of prompts instead, if given.

    calls: the numbers of tokens of a row and of masks.
    """

    has_pieces = True

    def __init__(self, model: PreTrainedModel, context_length: int, piece: CompiledLibrary | None = None) -> None:
        masks = AttentionMasks.of(model.config, context_length)
        self._steps = {kind: StepGraph(model, masks, kind) for kind in (StepKind.MORE_ROWS, StepKind.PIECE)}
        self._weights = {kind: list(tensors_of(model, kind).values()) for kind in self._steps}
        self._piece = piece
        self.calls: list[tuple[int, int]] = []

    def __call__(self, tokens: Tensor, positions: Tensor, masks: Tensor, states: list[Tensor]) -> Tensor:
        self.calls.append((tokens.shape[1], masks.shape[1]))
        kind = StepKind.MORE_ROWS if tokens.shape[1] == 1 else StepKind.PIECE
        if kind is StepKind.PIECE and self._piece is not None:
            return self._piece([tokens, positions, masks, *states, *self._weights[kind]])
        logits: Tensor = self._steps[kind](tokens, positions, masks, states, self._weights[kind])
        return logits
