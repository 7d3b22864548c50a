"""The rows of an engine's buffers: of requests that run, and of ended ones that others may begin like."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers.prefix_rows import PrefixRows
from handlers.slot_cache import SlotCache, num_cache_layers


class RequestRows:
    """
    slots: how many rows are of requests; prefix_slots: how many after them are of ended ones.

    tokens: [slots + prefix_slots, context_length], what each row holds; lengths: of each, how much of it is in `cache`.
    seen: [slots, vocabulary], which tokens a request has; limits: [slots], its length when it must end.
    numbers: [slots], 0, 1, 2 …
    """

    def __init__(
        self, model: PreTrainedModel, vocabulary: int, slots: int, prefix_slots: int, context_length: int
    ) -> None:
        rows, device = slots + prefix_slots, model.device
        self.cache = SlotCache(num_cache_layers(model.config, context_length), rows, context_length)
        self.tokens = torch.zeros(rows, context_length, dtype=torch.long, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.seen = torch.zeros(slots, vocabulary, dtype=torch.bool, device=device)
        self.limits = torch.zeros(slots, dtype=torch.long, device=device)
        self.numbers = torch.arange(slots, device=device)
        self.prefixes = PrefixRows(slots, prefix_slots, self.tokens, self.lengths)

    def begin(self, row: int, prompt: Tensor, limit: int, source: int, known: int) -> None:
        """Fills the row of a request, whose first `known` tokens another row has in the cache, but never all."""
        if known:
            self.cache.copy(source, row, 0, known)
        self.tokens[row, : len(prompt)] = prompt
        self.seen[row] = False
        self.seen[row, prompt] = True
        self.lengths[row] = len(prompt) - 1
        self.limits[row] = limit

    def clear(self, row: int) -> None:
        self.cache.clear(row)
        self.lengths[row] = 0

    def forget_ended(self) -> None:
        for row in range(len(self.limits), len(self.tokens)):
            self.clear(row)

    def save_prefixes(self, rows: list[int]) -> None:
        """Keeps what these requests leave, for others that begin with the same tokens.

        It is finite: their last tokens have looked at all of it, and had finite logits.
        """
        for row in rows:
            if (chosen := self.prefixes.choose(row)) is not None:
                target, start = chosen
                self._copy(row, target, start)

    def move(self, source: int, target: int) -> None:
        """Moves the row of a request."""
        if source != target:
            self._copy(source, target)
            self.seen[target] = self.seen[source]
            self.limits[target] = self.limits[source]

    def _copy(self, source: int, target: int, start: int = 0) -> None:
        """Copies what a row holds; before `start` the target holds the same."""
        length = int(self.lengths[source])
        self.cache.copy(source, target, start, length)
        if length < int(self.lengths[target]):
            self.cache.clear(target, length)
        self.tokens[target, start : length + 1] = self.tokens[source, start : length + 1]
        self.lengths[target] = length
