"""Rows of the cache that outlive their requests, for others that begin with the same tokens: a system prompt, a chat.

What is reused are keys and values that the model would compute again, number by number but for the order of additions.
"""

import torch
from torch import Tensor

# Tokens. Fewer are not worth a copy: a chat template's own system prompt may have no more than twice as many.
_LEAST_COPIED = 16
_LEAST_KEPT = 32  # fewer are not worth a row to themselves


class PrefixRows:
    """
    first, count: which rows are kept, after those of the requests.
    tokens: [rows, context_length], what each row holds; lengths: [rows], how much of it is in the cache.
    """

    def __init__(self, first: int, count: int, tokens: Tensor, lengths: Tensor) -> None:
        self._kept = list(range(first, first + count))
        self._tokens, self._lengths = tokens, lengths
        self._last_use = dict.fromkeys(self._kept, 0)
        self._num_uses = 0

    def find(self, prompt: Tensor, running: int) -> tuple[int, int]:
        """The row, of the `running` first ones or of the kept ones, that begins like `prompt`, and for how long.

        The last token of a prompt is never found: its logits have to be computed. A length of 0 is nothing.
        """
        rows = [*self._kept, *range(running)]  # of equals the first, which has been there for longest
        if len(prompt) <= _LEAST_COPIED or not rows:
            return 0, 0
        common = self._common(rows, prompt[:-1])
        best = max(range(len(rows)), key=common.__getitem__)
        if common[best] < _LEAST_COPIED:
            return 0, 0
        self._use(rows[best])
        return rows[best], common[best]

    def choose(self, row: int) -> tuple[int, int] | None:
        """Which kept row is to take over what `row` holds, and from which position on; None if it is not worth it.

        Before that position they are the same.
        """
        length = int(self._lengths[row])
        if length < _LEAST_KEPT or not self._kept:
            return None
        common = dict(zip(self._kept, self._common(self._kept, self._tokens[row, :length]), strict=True))
        lengths = dict(zip(self._kept, self._lengths[self._kept].tolist(), strict=True))
        # A conversation that went on says all that its own beginning says.
        outgrown = [each for each in self._kept if 0 < common[each] == lengths[each]]
        if outgrown:
            target = max(outgrown, key=common.__getitem__)
        elif length - max(common.values()) < _LEAST_KEPT:
            return None
        else:
            target = min(
                self._kept, key=lambda each: (lengths[each] - common[each] >= _LEAST_KEPT, self._last_use[each])
            )
        self._use(target)
        return target, common[target]

    def _common(self, rows: list[int], sequence: Tensor) -> list[int]:
        """For how many tokens each row is the same as `sequence`, as far as it is in the cache."""
        same = self._tokens[rows, : len(sequence)] == sequence
        lengths = same.cumprod(dim=1, dtype=torch.int32).sum(dim=1)
        return torch.minimum(lengths, self._lengths[rows]).tolist()

    def _use(self, row: int) -> None:
        if row in self._last_use:
            self._num_uses += 1
            self._last_use[row] = self._num_uses
