"""One step's work in the model: pieces of prompts, and one new token of every running row."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from handlers.attention_masks import AttentionMasks
from handlers.int8_linear import Int8Linear
from handlers.packed_attention import Segment, use_packed_attention
from handlers.packed_linear import PackedLinear
from handlers.passes_alone import is_computed_alone
from handlers.row_groups import RowGroup
from handlers.slot_cache import SlotCache, Window

# Bytes of keys and values that could be read while one layer begins one more attention, by the kind of device.
_BYTES_PER_ATTENTION = {"cpu": 2**19, "cuda": 2**27}
# The module that makes keys and values of what the cache holds (MLA: modeling_deepseek_v3.py, expand_kv). For one
# position it takes about as long as reading this share of its weights: a core multiplies 4 numbers while it reads one
# of 4 bytes.
_EXPANSION, _READ_MEANWHILE = "kv_b_proj", 1 / 16


class Piece(NamedTuple):
    """Positions start … end - 1 of what a row holds."""

    row: int
    start: int
    end: int


class ForwardPass(Protocol):
    """masks: how far back a token looks."""

    masks: AttentionMasks

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        """Puts the pieces into the cache, and then, of each row of the groups, the token after those that are there.

        lengths: [rows of the cache], how many are there; groups: in ascending order, as long as that token needs.
        Gives the logits of these tokens, [rows of the groups, vocabulary]; None where there is no group.
        """


class SeparateForwardPasses:
    """A pass for each piece and one for each group."""

    def __init__(self, model: PreTrainedModel, cache: SlotCache, tokens: Tensor) -> None:
        self._model, self._cache, self._tokens = model, cache, tokens
        rows, context_length = tokens.shape
        self._every_row = torch.arange(rows, device=tokens.device)
        self._every_position = torch.arange(context_length, device=tokens.device)
        self._weight_bytes = sum(_bytes_read_of(module, model.dtype) for module in model.modules())
        expansions = [module for name, module in model.named_modules() if name.endswith(_EXPANSION)]
        self._expansion_bytes = _READ_MEANWHILE * sum(_bytes_read_of(each, model.dtype) for each in expansions)
        self.masks = AttentionMasks.of(model.config, context_length)

    def group_cost(self) -> float:
        """The cost of a group for cut_into_groups: here it reads the weights again."""
        return self._positions_in(self._weight_bytes)

    def _positions_in(self, size: int) -> float:
        """How many positions of a row take as long to read as so many bytes.

        Infinite before the first step, which allocates the cache.
        """
        position = self._cache.bytes_of_a_position
        return size / (position + self._expansion_bytes) if position else math.inf

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        for row, start, end in pieces:
            positions = self._every_position[None, start:end]
            # Without its head: nobody would read these logits.
            self._model.base_model(**self._arguments(slice(row, row + 1), positions, end))
        logits = [self._next_logits(group, lengths) for group in groups]
        return torch.cat(logits) if len(logits) > 1 else next(iter(logits), None)

    def _next_logits(self, group: RowGroup, lengths: Tensor) -> Tensor:
        rows = slice(group.start, group.stop)
        # A copy, since the lengths grow while the cache still knows where it wrote.
        positions = lengths[rows, None].clone()
        return cast(Tensor, self._model(**self._arguments(rows, positions, group.length)).logits[:, -1])

    def _arguments(self, rows: slice, positions: Tensor, length: int) -> dict[str, object]:
        row_index = self._every_row[rows, None]
        self._cache.aim(Window(rows, row_index, positions, length))
        return {
            "input_ids": self._tokens[row_index, positions],
            "position_ids": positions,
            "attention_mask": self.masks.by_layer_type(self._mask(positions, length)),
            "past_key_values": self._cache,
            "use_cache": True,
        }

    def _mask(self, positions: Tensor, length: int) -> Tensor:
        """[batch, masks, tokens, length] for [batch, tokens]."""
        return self.masks.looking_from(positions, self._every_position[:length], self._model.dtype)


class PackedForwardPass(SeparateForwardPasses):
    """One pass for all, as one sequence: the pieces, then the running rows."""

    def group_cost(self) -> float:
        """The cost of a group: here it is one more attention in each layer."""
        return self._positions_in(len(self._cache) * _BYTES_PER_ATTENTION[self._model.device.type])

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        if len(pieces) + len(groups) == 1:
            return super().__call__(pieces, lengths, groups)
        rows = [self._every_row[row].expand(end - start) for row, start, end in pieces]
        rows += [self._every_row[group.start : group.stop] for group in groups]
        positions = [self._every_position[start:end] for _, start, end in pieces]
        positions += [lengths[group.start : group.stop] for group in groups]
        segments = list(self._segments(pieces, lengths, groups))
        last_row = max(segment.rows.stop for segment in segments)
        window = Window(
            slice(0, last_row),
            torch.cat(rows)[None],
            torch.cat(positions)[None],
            max(segment.length for segment in segments),
        )
        self._cache.aim(window)
        arguments = {
            "input_ids": self._tokens[window.row_index, window.positions],
            "position_ids": window.positions,
            # Each segment has its own, by these numbers. A mask of four dimensions is handed on as it is
            # (transformers/masking_utils.py); of this type it is an error in a model that does not hand the segments
            # on, and not a wrong answer.
            "attention_mask": self.masks.by_layer_type(self.masks.numbers()),
            "past_key_values": self._cache,
            "use_cache": True,
            "segments": segments,
        }
        if not groups:
            self._model.base_model(**arguments)
            return None
        num_new = sum(group.stop - group.start for group in groups)
        return cast(Tensor, self._model(**arguments, logits_to_keep=num_new).logits[0])

    def _segments(self, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Iterator[Segment]:
        begin = 0
        for row, start, end in pieces:
            is_causal = not start and self.masks.sees_all_before(end)
            mask = None if is_causal else self._mask(self._every_position[None, start:end], end)
            stop = begin + end - start
            yield Segment(slice(begin, stop), slice(row, row + 1), end, mask)
            begin = stop
        for group in groups:
            rows = slice(group.start, group.stop)
            stop = begin + group.stop - group.start
            yield Segment(slice(begin, stop), rows, group.length, self._mask(lengths[rows, None], group.length))
            begin = stop


class PassesAlone(SeparateForwardPasses):
    """A pass for each piece and each running row, with what generate() gives the model for one sequence alone."""

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        for piece in pieces:
            # Without its head, as above: of these models' large vocabularies a piece's logits would take gigabytes.
            self._model.base_model(**self._alone(piece))
        rows = [row for group in groups for row in range(group.start, group.stop)]
        pieces_of_one = [Piece(row, int(lengths[row]), int(lengths[row]) + 1) for row in rows]
        logits = [cast(Tensor, self._model(**self._alone(piece)).logits[:, -1]) for piece in pieces_of_one]
        return torch.cat(logits) if logits else None

    def _alone(self, piece: Piece) -> dict[str, object]:
        row, start, end = piece
        positions = self._every_position[None, start:end]
        self._cache.aim(Window(slice(row, row + 1), self._every_row[row, None, None], positions, end, before=start))
        return {
            "input_ids": self._tokens[row, None, start:end],
            "attention_mask": torch.ones_like(self._tokens[row, None, :end]),
            "past_key_values": self._cache,
            "use_cache": True,
        }


def forward_pass(model: PreTrainedModel, cache: SlotCache, tokens: Tensor) -> SeparateForwardPasses:
    """tokens: [rows, context_length], what each row holds."""
    if is_computed_alone(model):
        return PassesAlone(model, cache, tokens)
    kind = PackedForwardPass if use_packed_attention(model) else SeparateForwardPasses
    return kind(model, cache, tokens)


def _bytes_read_of(module: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of its weights in a pass, about: an embedding's are a few rows. Packed weights are no parameters."""
    if isinstance(module, PackedLinear | Int8Linear):
        return module.in_features * module.out_features * dtype.itemsize
    if isinstance(module, nn.Embedding):
        return 0
    return sum(weights.nbytes for weights in module.parameters(recurse=False))
