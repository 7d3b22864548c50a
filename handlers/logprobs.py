"""How likely the model found a token and those beside it: by its own logits, before a request has changed them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_LEAST = -9_999.0  # as OpenAI writes what is impossible, which JSON has no number for


class Logprobs(NamedTuple):
    """Natural logarithms of probabilities: of the token that was taken, and of the likeliest ones, likeliest first."""

    taken: float
    top_ids: tuple[int, ...]
    top: tuple[float, ...]


class RowLogprobs:
    """The logprobs of the running rows, made anew when the rows change. Rows that do not ask are not looked at.

    counts: of each row, how many of the likeliest tokens it asks for, or None.
    """

    def __init__(self, counts: Sequence[int | None], device: torch.device) -> None:
        self._asked = [(row, count) for row, count in enumerate(counts) if count is not None]
        self._rows = torch.tensor([row for row, _ in self._asked], dtype=torch.long, device=device)
        self._most = max((count for _, count in self._asked), default=0)

    def of_all(self, logits: Tensor) -> Tensor | None:
        """logits: [batch, vocabulary], as the model gave them. [rows that ask, vocabulary], if one does."""
        return logits[self._rows].log_softmax(dim=-1) if self._asked else None

    def of(self, every: Tensor | None, tokens: Tensor) -> Mapping[int, Logprobs]:
        """The logprobs by row. every: the result of of_all; tokens: [batch], those that were taken."""
        if every is None:
            return {}
        found = logprobs_of(every, tokens[self._rows], self._most)
        return {
            row: Logprobs(each.taken, each.top_ids[:count], each.top[:count])
            for each, (row, count) in zip(found, self._asked, strict=True)
        }


def logprobs_of(every: Tensor, tokens: Tensor, count: int) -> list[Logprobs]:
    """The logprobs of each row. every: [rows, vocabulary], logarithms; tokens: [rows], those that were taken."""
    every = every.clamp(min=_LEAST)
    taken = every.gather(1, tokens[:, None])[:, 0].tolist()
    top, ids = (each.tolist() for each in every.topk(min(count, every.shape[1])))
    return [Logprobs(*each) for each in zip(taken, map(tuple, ids), map(tuple, top), strict=True)]
