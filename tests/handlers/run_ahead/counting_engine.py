"""An engine whose steps are counted, held or failed, and what its thread has made of them."""

import threading

import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.engine_news import Step
from handlers.run_ahead import RunAhead
from handlers.sampling import SamplingParameters
from tests.waiting import PATIENCE, wait_until

GREEDY = SamplingParameters()


class CountingEngine(Engine):
    """Counts its steps, and fails when told to."""

    failure: BaseException | None = None
    failure_of_cancel: Exception | None = None
    num_steps = 0
    num_failed_steps = 0
    go_on: threading.Event | None = None
    """What every step but the first waits for."""
    is_held = False

    def step(self) -> Step | None:
        if self.go_on is not None and self.num_steps:
            self.is_held = True
            self.go_on.wait(PATIENCE / 10)
        if self.failure is not None:
            self.num_failed_steps += 1
            raise self.failure
        self.num_steps += 1
        return super().step()

    def cancel_all(self) -> list[str]:
        if self.failure_of_cancel is not None:
            raise self.failure_of_cancel
        return super().cancel_all()


def wait_until_full(run_ahead: RunAhead) -> None:
    """Until as much waits to be collected as may."""
    wait_until(lambda: len(run_ahead._news) == run_ahead._max_uncollected)


def collect_all(run_ahead: RunAhead, request_id: str) -> list[int]:
    tokens: list[int] = []
    is_ended = False
    while not is_ended:
        for step in run_ahead.collect(1.0):
            assert isinstance(step, Step)
            tokens += [token for owner, token in zip(step.ids, step.tokens, strict=True) if owner == request_id]
            is_ended |= request_id in step.ended
    return tokens


def reference(model: PreTrainedModel, prompt: list[int], max_new_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_new_tokens)
    return output[0, len(prompt) :].tolist()
