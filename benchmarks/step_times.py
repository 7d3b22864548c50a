"""How long one decode step takes: of the machine's memory, of a bare model, of `generate`, and of our engine."""

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel, StaticCache

from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings

CONTEXT = 128  # tokens that each row has in the cache


def steps_for(rows: int) -> int:
    return 16 if rows < 16 else 6  # noqa: PLR2004 - wide steps are long enough to be measured


def seconds_to_read(size: int) -> Callable[[], float]:
    """Of `size` bytes from memory: the best of three passes over an array as large as the weights."""
    array = torch.ones(size // 4)

    def measure() -> float:
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            array.sum()
            times.append(time.perf_counter() - begin)
        return min(times)

    return measure


def seconds_of_forward(model: PreTrainedModel, rows: int) -> Callable[[], float]:
    """Of one step of transformers' own loop: a forward pass with a static cache of as many tokens, and an argmax."""

    @torch.inference_mode()
    def measure() -> float:
        steps = steps_for(rows)
        cache = StaticCache(config=model.config, max_cache_len=CONTEXT + steps)
        tokens = torch.ones(rows, 1, dtype=torch.long)
        positions = torch.arange(CONTEXT, CONTEXT + steps)
        model(tokens, past_key_values=cache, position_ids=positions[None, :1])  # allocates the cache
        begin = time.perf_counter()
        for position in positions[1:]:
            logits = model(tokens, past_key_values=cache, position_ids=position[None, None]).logits
            tokens = logits[:, -1].argmax(dim=-1, keepdim=True)
        return (time.perf_counter() - begin) / (steps - 1)

    return measure


def seconds_of_engine(model: PreTrainedModel, rows: int, context: int = CONTEXT) -> Callable[[], float]:
    """Of one step of an engine for so many requests, with as many tokens behind each."""
    return seconds_of_steps(
        Engine(model, (), slots=rows, context_length=context + CONTEXT, prefix_slots=1), rows, context
    )


def compiled_engine(model: PreTrainedModel, steps: CompiledSteps) -> Engine:
    """For the compiled steps of the model in an archive with our own defaults."""
    settings = HandlerSettings()
    return Engine(
        model,
        (),
        slots=settings.slots,
        context_length=model.config.max_position_embeddings,
        prefix_slots=settings.prefix_slots,
        compiled_steps=steps,
    )


def seconds_of_compiled_engine(model: PreTrainedModel, steps: CompiledSteps) -> Callable[[int], Callable[[], float]]:
    """The same for compiled steps, by the number of rows."""
    engine = compiled_engine(model, steps)
    return lambda rows: seconds_of_steps(engine, rows, CONTEXT)


def seconds_of_steps(engine: Engine, rows: int, context: int) -> Callable[[], float]:
    """Of one step of this engine. All requests have the same prompt, which is computed once."""

    def measure() -> float:
        steps = steps_for(rows)
        for row in range(rows):
            engine.submit(str(row), [1] * context, CONTEXT - 1, SamplingParameters())
        while (step := engine.step()) is None or len(step.ids) < rows:
            pass
        begin = time.perf_counter()
        for _ in range(steps):
            engine.step()
        seconds = (time.perf_counter() - begin) / steps
        for row in range(rows):
            engine.cancel(str(row))
        return seconds

    return measure


def seconds_of_generate(model: Any) -> Callable[[], float]:
    """Of one token of `model.generate` after the first one."""
    prompt = torch.ones(1, CONTEXT, dtype=torch.long)

    def generate(new_tokens: int) -> float:
        begin = time.perf_counter()
        model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=new_tokens)
        return time.perf_counter() - begin

    def measure() -> float:
        new_tokens = steps_for(1) + 1
        return (generate(new_tokens) - generate(1)) / (new_tokens - 1)

    return measure
