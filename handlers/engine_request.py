"""A request as the engine has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from handlers.logit_changes import AnswerLogits
from handlers.sampling import SamplingParameters
from handlers.token_constraint import TokenConstraint


@dataclass(slots=True)
class EngineRequest:
    """A request on its way through the engine; `prefilled` of its known tokens are in the cache.

    known_tokens: the prompt, and what it had of its answer when it came, which max_new_tokens does not count.
    """

    id: str
    known_tokens: Sequence[int]
    max_new_tokens: int
    parameters: SamplingParameters
    constraint: TokenConstraint | None = None
    answer_logits: AnswerLogits | None = None
    prefilled: int = 0
