"""An engine's answers, token by token, what it computes for them, and the answers of transformers' own generate."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.engine_news import Step


def add(answers: dict[str, list[int]], step: Step | None) -> None:
    if step is not None:
        for request_id, token in zip(step.ids, step.tokens, strict=True):
            answers.setdefault(request_id, []).append(token)


def run(engine: Engine) -> dict[str, list[int]]:
    answers: dict[str, list[int]] = {}
    while engine.has_work:
        add(answers, engine.step())
    return answers


@contextmanager
def counted(model: PreTrainedModel) -> Iterator[list[int]]:
    """How many tokens each forward pass computes, all rows together."""
    tokens: list[int] = []

    def count(_module: torch.nn.Module, _arguments: object, keywords: dict[str, torch.Tensor]) -> None:
        tokens.append(keywords["position_ids"].numel())

    hook = model.base_model.register_forward_pre_hook(count, with_kwargs=True)
    yield tokens
    hook.remove()


def generate(model: PreTrainedModel, prompt: list[int], max_new_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_new_tokens)
    return output[0, len(prompt) :].tolist()
