"""The bare engine on a device: its answers, its tokens per second, and how often it waits for the device."""

import random
import time
import warnings
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.gpu_memory import CacheRows, rows_of_cache
from handlers.sampling import SamplingParameters

STREAMS = (1, 16, 64)
_CONTEXT = 4_096
_SYNCHRONISED_STEPS, _SYNCHRONISED_ROWS = 8, 16
_COPIED = {"cuda": 2**32, "cpu": 2**26}  # bytes: several times any cache
_GREEDY = SamplingParameters()


class Work(NamedTuple):
    """Tokens of a request's prompt and answer, those of the prompt whose first token is timed, and how often."""

    prompt: int
    output: int
    long_prompt: int
    runs: int


MEASURED, REHEARSED = Work(128, 128, 2_048, 3), Work(8, 24, 64, 1)


class Speed(NamedTuple):
    """first_token: seconds, of the long prompt; share: of the device's bandwidth; synchronisations: a step."""

    tokens_per_second: dict[int, float]
    first_token: float
    share: float | None = None
    synchronisations: float | None = None

    def cells(self) -> list[str]:
        return [
            *(f"{self.tokens_per_second[streams]:,.1f}" for streams in STREAMS),
            f"{1e3 * self.first_token:.1f}",
            "" if self.share is None else f"{self.share:.0%}",
            "" if self.synchronisations is None else f"{self.synchronisations:g}",
        ]


def bandwidth(device: torch.device) -> float:
    """Bytes in a second, read and written, of a copy within the device's memory: the best of five."""
    source = torch.zeros(_COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(5):
        begin = _now(device)
        target.copy_(source)
        seconds.append(_now(device) - begin)
    return 2 * source.nbytes / min(seconds)


def same_answers(model: PreTrainedModel) -> bool:
    """Whether six requests that join one after the other get what `generate` gives each of them alone."""
    generator = random.Random(6)  # noqa: S311 - no secret
    vocabulary = model.config.vocab_size
    prompts = [[generator.randrange(vocabulary) for _ in range(generator.randint(1, 80))] for _ in range(6)]
    engine = Engine(model, (), slots=4, context_length=128, prefill_tokens=16, prefix_slots=2)
    answers: dict[str, list[int]] = {str(number): [] for number in range(len(prompts))}
    for number, prompt in enumerate(prompts):
        engine.submit(str(number), prompt, 24, _GREEDY)
        _take(engine, answers)
    while engine.has_work:
        _take(engine, answers)
    return list(answers.values()) == [_generate(model, prompt, 24) for prompt in prompts]


def speed_of_engine(model: PreTrainedModel, work: Work, moved: float) -> Speed:
    """`moved`: bytes in a second of the device's memory."""
    rows = rows_of_cache(model, _CONTEXT, CacheRows(max(STREAMS), 0))
    engine = Engine(model, (), slots=rows.slots, context_length=_CONTEXT, prefix_slots=rows.prefix_slots)
    runner = _Runner(engine, model, work)
    runner.run(1)  # allocates the cache, and what kernels keep
    speeds = {streams: max(runner.run(streams) for _ in range(work.runs)) for streams in STREAMS}
    weights = sum(parameter.nbytes for parameter in model.parameters())
    return Speed(
        speeds,
        min(runner.first_token() for _ in range(work.runs)),
        weights * speeds[1] / moved,
        runner.synchronisations() if model.device.type == "cuda" else None,
    )


class _Runner:
    def __init__(self, engine: Engine, model: PreTrainedModel, work: Work) -> None:
        self._work = work
        self._engine, self._device, self._vocabulary = engine, model.device, model.config.vocab_size
        self._random = random.Random(0)  # noqa: S311 - no secret

    def run(self, streams: int) -> float:
        """Tokens in a second, from the step on with which all of them run, to the end."""
        self._join(streams)
        tokens, begin = 0, _now(self._device)
        while self._engine.has_work:
            step = self._engine.step()
            tokens += len(step.ids) if step else 0
        return tokens / (_now(self._device) - begin)

    def first_token(self) -> float:
        begin = _now(self._device)
        self._submit(1, self._work.long_prompt, 1)
        while self._engine.has_work:
            self._engine.step()
        return _now(self._device) - begin

    def synchronisations(self) -> float:
        """In a step without a prompt or an end."""
        self._join(_SYNCHRONISED_ROWS)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            for _ in range(_SYNCHRONISED_STEPS):
                self._engine.step()
            torch.cuda.set_sync_debug_mode("default")
        self._engine.cancel_all()
        return sum("synchroniz" in str(warning.message) for warning in seen) / _SYNCHRONISED_STEPS

    def _join(self, streams: int) -> None:
        """Until all of them run."""
        self._submit(streams, self._work.prompt, self._work.output)
        while (step := self._engine.step()) is None or len(step.ids) < streams:
            if not self._engine.has_work:
                raise ValueError(
                    f"{streams} requests never ran at once: the first answers were too short, or slots few"
                )

    def _submit(self, streams: int, prompt: int, output: int) -> None:
        for number in range(streams):
            tokens = [self._random.randrange(self._vocabulary) for _ in range(prompt)]
            self._engine.submit(str(number), tokens, output, _GREEDY)


def _take(engine: Engine, answers: dict[str, list[int]]) -> None:
    if (step := engine.step()) is not None:
        for each, token in zip(step.ids, step.tokens, strict=True):
            answers[each].append(token)


def _generate(model: Any, prompt: list[int], count: int) -> list[int]:
    ids = torch.tensor([prompt], device=model.device)
    given = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count)
    answer: list[int] = given[0, len(prompt) :].tolist()
    return answer


def _now(device: torch.device) -> float:
    """When the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
