"""Logits to next tokens, each request by its own parameters, all rows at once.

A row's token depends on that row alone: on its logits and on one uniform number drawn when its request started.
So a seed gives the same answer whatever shares the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_COLDEST = 1e-5  # below it the likeliest token is all that is left, and float32 overflows
_MOST_CANDIDATES = 1_024  # no less than the largest top_k of the contract


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """`temperature` 0 is greedy; None switches the other filters off."""

    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None


def draw_uniforms(count: int, seed: int | None) -> Tensor:
    """[count] numbers in [0, 1), the whole randomness of one request."""
    generator = torch.Generator()
    generator.seed() if seed is None else generator.manual_seed(seed)
    return torch.rand(count, generator=generator)


class Sampler:
    """The parameters of the live rows as tensors, made anew when the rows change: a step does no work per row."""

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
        self._unfiltered = rows([s and not f for s, f in zip(samples, filters, strict=True)])
        self._filtered = rows([s and f for s, f in zip(samples, filters, strict=True)])

    def __call__(self, logits: Tensor, uniforms: Tensor, seen: Tensor) -> Tensor:
        """Next tokens, [batch].

        logits: [batch, vocabulary]; uniforms: [batch] in [0, 1); seen: [batch, vocabulary], true for the tokens
        of the prompt and of the answer so far (looked at only where a row has a repetition penalty).
        """
        logits = logits.float()
        if self.penalises:
            logits = torch.where(seen, penalise(logits, self._penalty), logits)
        tokens = logits.argmax(dim=-1)
        if len(rows := self._unfiltered):
            probabilities = torch.softmax(logits[rows] / self._temperature[rows], dim=-1)
            tokens[rows] = pick(probabilities, uniforms[rows])
        if len(rows := self._filtered):
            scaled = logits[rows] / self._temperature[rows]
            tokens[rows] = pick_likely(scaled, self._top_k[rows], self._top_p[rows], uniforms[rows])
        return tokens


def penalise(logits: Tensor, penalty: Tensor) -> Tensor:
    """The repetition penalty of CTRL (arXiv 1909.05858, section 4.1) as transformers applies it."""
    return torch.where(logits > 0, logits / penalty, logits * penalty)


def pick_likely(logits: Tensor, top_k: Tensor, top_p: Tensor, uniforms: Tensor) -> Tensor:
    """Samples [batch] tokens among the top k, and among these from the nucleus of mass top_p (arXiv 1904.09751)."""
    # Sorting a whole vocabulary for each token costs more than a small model's step, and is hardly ever needed.
    likeliest, order = logits.topk(min(_MOST_CANDIDATES, logits.shape[1]))
    ranks = torch.arange(likeliest.shape[1], device=logits.device)
    likeliest = likeliest.masked_fill(ranks >= top_k, float("-inf"))
    normaliser = torch.where(top_k.isinf(), logits.logsumexp(-1, keepdim=True), likeliest.logsumexp(-1, keepdim=True))
    probabilities = (likeliest - normaliser).exp()
    tokens = _pick_in_nucleus(probabilities, order, top_p, uniforms)
    is_cut = top_k.isinf() & (probabilities.cumsum(dim=-1)[:, -1:] < top_p)
    if likeliest.shape[1] < logits.shape[1] and len(rows := is_cut[:, 0].nonzero()[:, 0]):
        everything = logits[rows].softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
        tokens[rows] = _pick_in_nucleus(*everything, top_p[rows], uniforms[rows])
    return tokens


def _pick_in_nucleus(probabilities: Tensor, order: Tensor, top_p: Tensor, uniforms: Tensor) -> Tensor:
    """`probabilities` are in descending order; `order` says whose they are."""
    nucleus = probabilities.masked_fill(probabilities.cumsum(dim=-1) - probabilities >= top_p, 0.0)
    return order.gather(1, pick(nucleus, uniforms)[:, None])[:, 0]


def pick(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Inverse transform sampling over unnormalised probabilities [batch, n]: index [batch]."""
    cumulative = probabilities.cumsum(dim=-1)
    targets = uniforms[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, targets, right=True)[:, 0]
    return chosen.clamp(max=probabilities.shape[1] - 1)
