"""A forward pass whose steps are compiled ones, as far as they are there and worth it."""

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers.compiled_steps import CompiledSteps, allocate
from handlers.forward_pass import PackedForwardPass, Piece, SeparateForwardPasses
from handlers.packed_attention import use_packed_attention
from handlers.row_groups import RowGroup
from handlers.slot_cache import SlotCache
from handlers.step_graph import MOST_TOKENS

# A share of the model's width: for so many tokens, compiled code saves as much as one more pass costs. A pass reads all
# weights. Both grow with the layers, and these with the square of the width. In SmolLM2-135M in bfloat16 two passes
# take as long as one of the model's own at 42 tokens, and 0.85 times as long at 55.
_TOKENS_PER_PASS = 1 / 12


class CompiledForwardPass(PackedForwardPass):
    """A compiled step for each piece and each group, where that is faster than the model's own pass for all of them.

    has_pieces: whether pieces of prompts are compiled, too.
    most_tokens: of a compiled step; a longer piece takes several.
    tokens_per_pass: for so many tokens a compiled step more is worth it, beside one pass of the model for all of them.
    """

    def __init__(self, model: PreTrainedModel, cache: SlotCache, tokens: Tensor, steps: CompiledSteps) -> None:
        super().__init__(model, cache, tokens)
        use_packed_attention(model)
        allocate(model, cache)
        self._steps, self._states = steps, cache.states
        self.has_pieces = steps.has_pieces
        self.tokens_per_pass: float = model.config.get_text_config().hidden_size * _TOKENS_PER_PASS
        self.most_tokens = MOST_TOKENS

    def group_cost(self) -> float:
        return SeparateForwardPasses.group_cost(self)

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        if not pieces:
            return SeparateForwardPasses.__call__(self, pieces, lengths, groups)
        num_rows = groups[-1].stop if groups else 0
        others = list(_groups_without(groups, {piece.row for piece in pieces}))
        if not self._are_worth_it(pieces, others):
            return PackedForwardPass.__call__(self, pieces, lengths, groups)
        # A row whose prompt ends with its piece runs: the prompt's last token is computed with the piece.
        logits = {piece.row: self._after(piece._replace(end=piece.end + (piece.row < num_rows))) for piece in pieces}
        logits |= {group.start: self._next_logits(group, lengths) for group in others}
        in_order = [logits[row] for row in sorted(logits) if row < num_rows]
        return torch.cat(in_order) if len(in_order) > 1 else next(iter(in_order), None)

    def _are_worth_it(self, pieces: Sequence[Piece], others: Sequence[RowGroup]) -> bool:
        """A pass of the model itself is one for all tokens, but has more to do for each of them."""
        if not self.has_pieces:
            return False
        tokens = sum(piece.end - piece.start for piece in pieces) + sum(group.stop - group.start for group in others)
        return tokens >= (len(pieces) + len(others) - 1) * self.tokens_per_pass

    def _after(self, piece: Piece) -> Tensor:
        """The logits, [1, vocabulary], after the piece's last token."""
        row, start, end = piece
        steps = math.ceil((end - start) / self.most_tokens)
        ends = [start + (end - start) * step // steps for step in range(steps + 1)]
        *_, last = (
            self._compute(slice(row, row + 1), self._every_position[None, begin:stop], stop)
            for begin, stop in pairwise(ends)
        )
        return last

    def _next_logits(self, group: RowGroup, lengths: Tensor) -> Tensor:
        rows = slice(group.start, group.stop)
        return self._compute(rows, lengths[rows, None], group.length)

    def _compute(self, rows: slice, positions: Tensor, length: int) -> Tensor:
        tokens = self._tokens[self._every_row[rows, None], positions]
        # The library takes its rows from where the states begin, and looks at no later ones.
        states = [each[rows.start :] for each in self._states] if rows.start else self._states
        return self._steps(tokens, positions, self._mask(positions, length), states)


def _groups_without(groups: Sequence[RowGroup], left_out: Collection[int]) -> Iterator[RowGroup]:
    """The groups without these rows: neighbours that were in one group are still in one."""
    for group in groups:
        start = group.start
        for row in range(group.start, group.stop + 1):
            if row == group.stop or row in left_out:
                if start < row:
                    yield group._replace(start=start, stop=row)
                start = row + 1
