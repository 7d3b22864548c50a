"""One step's work in the model: pieces of prompts, and one new token of every running row."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers.packed_attention import Segment, use_packed_attention
from handlers.slot_cache import SlotCache, Window


class Piece(NamedTuple):
    """Positions start … end - 1 of what a row holds."""

    row: int
    start: int
    end: int


class ForwardPass(Protocol):
    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, longest: int) -> Tensor | None:
        """Puts the pieces into the cache, and then, of rows 0, 1, …, the token after the `lengths` ones that are there.

        lengths: [running]; longest: the largest of them.
        Gives the logits of these tokens, [running, vocabulary]; None where no row runs.
        """


def forward_pass(model: PreTrainedModel, cache: SlotCache, tokens: Tensor) -> ForwardPass:
    """tokens: [rows, context_length], what each row holds."""
    kind = PackedForwardPass if use_packed_attention(model) else SeparateForwardPasses
    return kind(model, cache, tokens)


class SeparateForwardPasses:
    """A pass for each piece and one for the running rows."""

    def __init__(self, model: PreTrainedModel, cache: SlotCache, tokens: Tensor) -> None:
        self._model, self._cache, self._tokens = model, cache, tokens
        rows, context_length = tokens.shape
        self._every_row = torch.arange(rows, device=tokens.device)
        self._every_position = torch.arange(context_length, device=tokens.device)
        self._masked = torch.finfo(model.dtype).min

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, longest: int) -> Tensor | None:
        for row, start, end in pieces:
            positions = self._every_position[None, start:end]
            # Without its head: nobody would read these logits.
            self._model.base_model(**self._arguments(slice(row, row + 1), positions, end))
        if not len(lengths):
            return None
        logits = self._model(**self._arguments(slice(0, len(lengths)), lengths[:, None].clone(), longest + 1)).logits
        return cast(Tensor, logits[:, -1])

    def _arguments(self, rows: slice, positions: Tensor, length: int) -> dict[str, object]:
        row_index = self._every_row[rows, None]
        self._cache.aim(Window(rows, row_index, positions, length))
        return {
            "input_ids": self._tokens[row_index, positions],
            "position_ids": positions,
            "attention_mask": self._mask(positions, length),
            "past_key_values": self._cache,
            "use_cache": True,
        }

    def _mask(self, positions: Tensor, length: int) -> Tensor:
        """[batch, 1, tokens, length] for [batch, tokens]: a token looks at itself and at all before it."""
        hidden = self._every_position[:length] > positions[:, None, :, None]
        return torch.zeros_like(hidden, dtype=self._model.dtype).masked_fill_(hidden, self._masked)


class PackedForwardPass(SeparateForwardPasses):
    """One pass for all, as one sequence: the pieces, then the running rows."""

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, longest: int) -> Tensor | None:
        running = len(lengths)
        if len(pieces) + bool(running) == 1:
            return super().__call__(pieces, lengths, longest)
        rows = [self._every_row[row].expand(end - start) for row, start, end in pieces]
        positions = [self._every_position[start:end] for _, start, end in pieces]
        segments = list(self._segments(pieces, lengths, longest))
        last_row = max(segment.rows.stop for segment in segments)
        window = Window(
            slice(0, last_row),
            torch.cat([*rows, self._every_row[:running]])[None],
            torch.cat([*positions, lengths])[None],
            max(segment.length for segment in segments),
        )
        self._cache.aim(window)
        arguments = {
            "input_ids": self._tokens[window.row_index, window.positions],
            "position_ids": window.positions,
            # Each segment has its own. A mask of four dimensions is handed on as it is (transformers/masking_utils.py);
            # of this type it is an error in a model that does not hand the segments on, and not a wrong answer.
            "attention_mask": self._every_position.new_zeros(1, 1, 1, 1),
            "past_key_values": self._cache,
            "use_cache": True,
            "segments": segments,
        }
        if not running:
            self._model.base_model(**arguments)
            return None
        return cast(Tensor, self._model(**arguments, logits_to_keep=running).logits[0])

    def _segments(self, pieces: Sequence[Piece], lengths: Tensor, longest: int) -> Iterator[Segment]:
        begin = 0
        for row, start, end in pieces:
            mask = self._mask(self._every_position[None, start:end], end) if start else None
            stop = begin + end - start
            yield Segment(slice(begin, stop), slice(row, row + 1), end, mask)
            begin = stop
        if running := len(lengths):
            mask = self._mask(lengths[:, None], longest + 1)
            yield Segment(slice(begin, begin + running), slice(0, running), longest + 1, mask)
