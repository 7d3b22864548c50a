"""Logits to next tokens, each request by its own parameters, all rows at once.

A row's token depends on that row alone: on its logits, and on noise that its seed, its position and a token's id give.
So in float32 a seed gives the same answer whatever shares the batch. In 16 bits a model's logits themselves are not
quite the same beside other rows, as its sums are rounded elsewhere (docs/decisions.md says how often it shows). Noise
of each token's own keeps the changed tokens few.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from handlers.logit_changes import NO_CHANGES, LogitChanges
from handlers.token_noise import noise_keys, token_noise

_COLDEST = 1e-5  # below it the likeliest token is all that is left, and float32 overflows
_MOST_CANDIDATES = 1_024  # no less than the largest top_k of the contract


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """`temperature` 0 is greedy; None switches the other filters off.

    min_p: tokens of less than this part of the likeliest one's probability are not taken.
    changes: of the logits, before all else.
    logprobs: how many of the likeliest tokens are given with each that is taken, if any is.
    """

    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    min_p: float | None = None
    changes: LogitChanges = NO_CHANGES
    logprobs: int | None = None


def with_seed(parameters: SamplingParameters) -> SamplingParameters:
    """The same parameters with a seed: a random one if they have none."""
    return parameters if parameters.seed is not None else replace(parameters, seed=secrets.randbits(63))


class Choice(NamedTuple):
    """tokens: [batch]; is_sound: [batch], false where the logits were not finite, and the token means nothing."""

    tokens: Tensor
    is_sound: Tensor


class Sampler:
    """The parameters of the live rows as tensors, made anew when the rows change: a step does no work per row.

    Each has its seed (`with_seed`).
    """

    def __init__(self, parameters: Sequence[SamplingParameters], device: torch.device) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)[:, None]

        def rows(chosen: list[bool]) -> Tensor:
            return torch.tensor(
                [row for row, is_chosen in enumerate(chosen) if is_chosen], device=device, dtype=torch.long
            )

        samples = [p.temperature >= _COLDEST for p in parameters]
        # A top_p of 1 keeps every token. Clients send it by default, and looking for its nucleus sorts the vocabulary.
        filters = [p.top_p not in (None, 1.0) or p.top_k is not None for p in parameters]
        self.penalises = any(p.repetition_penalty is not None for p in parameters)
        self._penalty = column([p.repetition_penalty or 1.0 for p in parameters])
        self._temperature = column([p.temperature or 1.0 for p in parameters])
        self._top_p = column([1.0 if p.top_p is None else p.top_p for p in parameters])
        self._top_k = column([float("inf") if p.top_k is None else p.top_k for p in parameters])
        self._least = column([math.log(p.min_p) if p.min_p else float("-inf") for p in parameters])
        self._cuts = any(p.min_p for p in parameters)
        self._seeds = torch.tensor([p.seed or 0 for p in parameters], dtype=torch.long, device=device)
        self._unfiltered = rows([s and not f for s, f in zip(samples, filters, strict=True)])
        self._filtered = rows([s and f for s, f in zip(samples, filters, strict=True)])

    def __call__(self, logits: Tensor, positions: Tensor, seen: Tensor) -> Choice:
        """The next token of each row.

        logits: [batch, vocabulary]; positions: [batch], where the token before it stands in its sequence.
        seen: [batch, vocabulary], true for the tokens of the prompt and of the answer so far (looked at only where a
        row has a repetition penalty).
        """
        logits = logits.float()
        if self.penalises:
            logits = torch.where(seen, penalise(logits, self._penalty), logits)
        tokens = logits.argmax(dim=-1)
        # NaN where any logit is. An infinite one leaves no shares to draw from; -inf only rules a token out.
        largest = logits.gather(1, tokens[:, None])

        def scaled(rows: Tensor) -> Tensor:
            # Less the largest one, so that nothing overflows however cold it is.
            relative = logits[rows].sub_(largest[rows]).div_(self._temperature[rows])
            return relative.masked_fill_(relative < self._least[rows], float("-inf")) if self._cuts else relative

        def keys(rows: Tensor) -> Tensor:
            return noise_keys(self._seeds[rows], positions[rows])

        if len(rows := self._unfiltered):
            tokens[rows] = pick_of_all(scaled(rows), keys(rows))
        if len(rows := self._filtered):
            tokens[rows] = pick_likely(scaled(rows), self._top_k[rows], self._top_p[rows], keys(rows))
        return Choice(tokens, largest[:, 0].isfinite())


def penalise(logits: Tensor, penalty: Tensor) -> Tensor:
    """The repetition penalty of CTRL (arXiv 1909.05858, section 4.1) as transformers applies it."""
    return torch.where(logits > 0, logits / penalty, logits * penalty)


def pick_of_all(logits: Tensor, keys: Tensor) -> Tensor:
    """Samples [batch] tokens of logits [batch, vocabulary] whose largest is 0 in each row.

    First a block of tokens by what they weigh together, then one of its tokens: noise for them all would take longer
    than a small model's step.
    """
    rows, vocabulary = logits.shape
    size = math.isqrt(vocabulary - 1) + 1  # as many blocks as tokens in one
    padded = pad(logits, (0, -vocabulary % size), value=float("-inf"))
    weights = padded.exp().view(rows, -1, size).sum(dim=-1)
    every = torch.arange(size, device=logits.device)
    block = pick(weights.log(), -1 - every[: weights.shape[1]], keys)
    tokens = block[:, None] * size + every
    chosen = pick(padded.gather(1, tokens), tokens, keys)
    return tokens.gather(1, chosen[:, None])[:, 0]


def pick_likely(logits: Tensor, top_k: Tensor, top_p: Tensor, keys: Tensor) -> Tensor:
    """Samples [batch] tokens among the top k, and among these from the nucleus of mass top_p (arXiv 1904.09751)."""
    # Sorting a whole vocabulary for each token costs more than a small model's step, and is hardly ever needed.
    likeliest, order = logits.topk(min(_MOST_CANDIDATES, logits.shape[1]))
    ranks = torch.arange(likeliest.shape[1], device=logits.device)
    likeliest = likeliest.masked_fill(ranks >= top_k, float("-inf"))
    normaliser = torch.where(top_k.isinf(), logits.logsumexp(-1, keepdim=True), likeliest.logsumexp(-1, keepdim=True))
    likeliest = likeliest - normaliser
    tokens = _pick_in_nucleus(likeliest, order, top_p, keys)
    is_cut = top_k.isinf() & (likeliest.exp().sum(dim=-1, keepdim=True) < top_p)
    if likeliest.shape[1] < logits.shape[1] and len(rows := is_cut[:, 0].nonzero()[:, 0]):
        everything = logits[rows].log_softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
        tokens[rows] = _pick_in_nucleus(*everything, top_p[rows], keys[rows])
    return tokens


def _pick_in_nucleus(likeliest: Tensor, order: Tensor, top_p: Tensor, keys: Tensor) -> Tensor:
    """`likeliest` are logarithms of probabilities in descending order; `order` says whose they are."""
    probabilities = likeliest.exp()
    is_in = (probabilities.cumsum(dim=-1) - probabilities < top_p) & (probabilities > 0)
    # Mostly a few dozen of a thousand: noise for all of them would take longer than what it is for. Not on a GPU, where
    # to ask how many costs more: the answer waits for all that has been asked before.
    widest = max(1, int(is_in.sum(dim=-1).max())) if likeliest.device.type == "cpu" else likeliest.shape[1]
    nucleus = likeliest.masked_fill(~is_in, float("-inf"))[:, :widest]
    return order.gather(1, pick(nucleus, order[:, :widest], keys)[:, None])[:, 0]


def pick(logits: Tensor, ids: Tensor, keys: Tensor) -> Tensor:
    """Samples an index [batch] of logits [batch, n], whose tokens are `ids`, [batch, n] or [n].

    The largest of logits with Gumbel noise is distributed as their softmax says (arXiv 1611.01144, section 2.1).
    """
    return (logits + token_noise(keys, ids)).argmax(dim=-1)
