"""The next token of each running row, as its request wants it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from handlers.engine_request import EngineRequest
from handlers.logit_changes import RowLogits
from handlers.logprobs import Logprobs, RowLogprobs
from handlers.sampling import Sampler
from handlers.token_constraint import RowConstraints


class Chosen(NamedTuple):
    """tokens, is_sound: [batch], as of the Sampler; complete: rows whose answers nothing may follow.

    logprobs: of the rows that ask for them.
    """

    tokens: Tensor
    is_sound: Tensor
    complete: frozenset[int]
    logprobs: Mapping[int, Logprobs]


class TokenChoice:
    """Chooses for these requests, and is made anew when the rows change.

    penalises: whether one of them looks at what it has seen.
    """

    def __init__(self, requests: Sequence[EngineRequest], vocabulary: int, device: torch.device) -> None:
        self._sampler = Sampler([request.parameters for request in requests], device)
        self._logits = RowLogits([request.answer_logits for request in requests])
        self._constraints = RowConstraints([request.constraint for request in requests], vocabulary, device)
        self._logprobs = RowLogprobs([request.parameters.logprobs for request in requests], device)
        self.penalises = self._sampler.penalises

    def __call__(self, logits: Tensor, lengths: Tensor, seen: Tensor, tokens: Tensor) -> Chosen:
        """logits: [batch, vocabulary]; lengths: [batch], tokens in the cache; seen: as of the Sampler.

        tokens: [rows, context_length], of prompts and of their answers so far.
        """
        logits = logits.float()
        every = self._logprobs.of_all(logits)
        self._logits.change(logits, tokens)
        self._constraints.rule_out(logits)
        chosen, is_sound = self._sampler(logits, lengths, seen)
        return Chosen(chosen, is_sound, self._constraints.take(chosen), self._logprobs.of(every, chosen))
