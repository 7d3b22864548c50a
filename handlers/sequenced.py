"""A request as the engine has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from handlers.logit_changes import NO_CHANGES, AnswerLogits
from handlers.sampling import SamplingParameters, with_seed
from handlers.token_constraint import TokenConstraint


@dataclass(slots=True)
class Sequenced:
    """A request on its way through the engine; `prefilled` prompt tokens are in the cache.

    prompt: with what it had of its answer when it came, which max_new_tokens does not count.
    """

    id: str
    prompt: Sequence[int]
    max_new_tokens: int
    parameters: SamplingParameters
    constraint: TokenConstraint | None = None
    logits: AnswerLogits | None = None
    prefilled: int = 0

    @classmethod
    def of(
        cls,
        request_id: str,
        prompt: Sequence[int],
        answer: Sequence[int],
        max_new_tokens: int,
        parameters: SamplingParameters,
        constraint: TokenConstraint | None,
        stop_token_ids: Tensor,
    ) -> Self:
        """answer: what it has of its answer already, which max_new_tokens counts here."""
        changes, num_told = parameters.changes, len(answer)
        logits = None if changes == NO_CHANGES else AnswerLogits(changes, len(prompt), stop_token_ids, num_told)
        known = [*prompt, *answer] if answer else prompt
        return cls(request_id, known, max_new_tokens - num_told, with_seed(parameters), constraint, logits)
