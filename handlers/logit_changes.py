"""Changes of a request's own logits before a token is taken: for what it has said, for tokens that it favours or not,
and for an end that may not come yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LogitChanges:
    """
    frequency_penalty: taken off for each time that a token is in the answer; presence_penalty: once, if it is there.
    bias: added, by token id. All as OpenAI has them (https://platform.openai.com/docs/api-reference/chat/create).
    min_tokens: the answer does not end by a stop token before it has so many.
    ignore_eos: it does not end by one at all.
    """

    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    bias: Mapping[int, float] = field(default_factory=dict)
    min_tokens: int = 0
    ignore_eos: bool = False


NO_CHANGES = LogitChanges()


class AnswerLogits:
    """The changes of one answer, which is asked for its next token once in each step.

    num_tokens: of the answer so far.
    """

    def __init__(self, changes: LogitChanges, prompt_length: int, stop_token_ids: Tensor, num_tokens: int = 0) -> None:
        device = stop_token_ids.device
        self._changes, self._start, self._stop_token_ids = changes, prompt_length, stop_token_ids
        self._biased = torch.tensor(list(changes.bias), dtype=torch.long, device=device)
        self._bias = torch.tensor(list(changes.bias.values()), dtype=torch.float32, device=device)
        self._num_tokens = num_tokens

    def change(self, logits: Tensor, tokens: Tensor) -> None:
        """logits: [vocabulary] in float32, changed in place; tokens: [context_length], the prompt and the answer."""
        changes, answer = self._changes, tokens[self._start : self._start + self._num_tokens]
        if changes.frequency_penalty:
            logits.index_add_(0, answer, logits.new_full(answer.shape, -changes.frequency_penalty))
        if changes.presence_penalty:
            logits[answer] = logits[answer] - changes.presence_penalty  # the same number each time
        logits.index_add_(0, self._biased, self._bias)
        if changes.ignore_eos or self._num_tokens < changes.min_tokens:
            logits[self._stop_token_ids] = float("-inf")
        self._num_tokens += 1


def answer_logits(
    changes: LogitChanges, prompt_length: int, stop_token_ids: Tensor, num_tokens: int
) -> AnswerLogits | None:
    """None where there is nothing to change."""
    return None if changes == NO_CHANGES else AnswerLogits(changes, prompt_length, stop_token_ids, num_tokens)


class RowLogits:
    """The changes of the running rows, made anew when the rows change. Rows that change nothing are not looked at."""

    def __init__(self, answers: Sequence[AnswerLogits | None]) -> None:
        self._changed = [(row, answer) for row, answer in enumerate(answers) if answer is not None]

    def change(self, logits: Tensor, tokens: Tensor) -> None:
        """logits: [batch, vocabulary] in float32; tokens: [rows, context_length]."""
        for row, answer in self._changed:
            answer.change(logits[row], tokens[row])
