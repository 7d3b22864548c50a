"""`make bench-continued_texts`: how often an answer that another worker goes on with has other words.

A worker that goes on computes the tokens so far all at once, and not one by one: in another order of sums.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch

from benchmarks.chat_requests import questions
from benchmarks.project import PROJECT
from benchmarks.real_model import MODEL as REAL
from benchmarks.report import Table, write_report
from benchmarks.rounds import console
from handlers.engine import Engine
from handlers.model_loading import LoadedModel
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings
from handlers.worker_engine import load_packed_model, worker_engine

TINY = PROJECT / "models" / "tiny"
ANSWERS, TOKENS, SEED = 200, 100, 1
TYPES = {name: HandlerSettings(dtype=name, context_length=512) for name in ("float32", "bfloat16")}
KINDS = {"greedy": SamplingParameters(), "sampled at 1.0": SamplingParameters(temperature=1.0)}
_NORMAL = 1.959964  # of a two-sided 95 % interval

_METHOD = f"""\
{ANSWERS} answers of up to {TOKENS} tokens each, as a worker's engine gives them to questions of 40 to 60 tokens. Each
is cut at a random token, as by the death of its worker, and another engine of the same model goes on behind it, by its
seed and its tokens. *Other words*: answers that have another token than the undisturbed ones, with Wilson's 95 %
interval. *Run again*: the same answers from their beginnings, among others than before, which shows what the
neighbours in a step do to one. A worker on a processor without units for bfloat16 computes in float32 unless it is told
otherwise: this one was told."""

Answers = dict[str, list[int]]


class Asked(NamedTuple):
    prompt: list[int]
    parameters: SamplingParameters


class Measured(NamedTuple):
    continued: int
    again: int


def asked(loaded: LoadedModel, parameters: SamplingParameters) -> dict[str, Asked]:
    texts = [question for question, _ in questions(ANSWERS, SEED)]
    return {
        str(number): Asked(cast("list[int]", loaded.tokenizer(text)["input_ids"]), replace(parameters, seed=number))
        for number, text in enumerate(texts)
    }


def run(loaded: LoadedModel, settings: HandlerSettings, requests: Mapping[str, Asked], begun: Answers) -> Answers:
    """All of them, in their order. begun: tokens that an earlier engine has given."""
    engine = worker_engine(loaded, settings, None)
    for name, request in requests.items():
        engine.submit(name, request.prompt, TOKENS, request.parameters, answer=begun.get(name, ()))
    return _written(engine, {name: list(begun.get(name, ())) for name in requests})


def _written(engine: Engine, answers: Answers) -> Answers:
    while engine.has_work:
        if (step := engine.step()) is not None:
            for name, token in zip(step.ids, step.tokens, strict=True):
                answers[name].append(token)
    return answers


def measure(loaded: LoadedModel, settings: HandlerSettings, parameters: SamplingParameters) -> Measured:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    requests = asked(loaded, parameters)
    undisturbed = run(loaded, settings, requests, {})
    begun = {name: answer[: chance.randrange(1, max(2, len(answer)))] for name, answer in undisturbed.items()}
    cut = {name: answer for name, answer in begun.items() if len(answer) < len(undisturbed[name])}
    continued = run(loaded, settings, {name: requests[name] for name in cut}, cut)
    again = run(loaded, settings, dict(reversed(requests.items())), {})
    return Measured(_num_other(continued, undisturbed), _num_other(again, undisturbed))


def _num_other(answers: Answers, expected: Answers) -> int:
    return sum(answer != expected[name] for name, answer in answers.items())


def wilson(seen: int, trials: int) -> tuple[float, float]:
    """The two-sided 95 % interval of a proportion (E. B. Wilson, 1927)."""
    middle = seen + _NORMAL**2 / 2
    half = _NORMAL * math.sqrt(seen * (trials - seen) / trials + _NORMAL**2 / 4)
    return max(0.0, middle - half) / (trials + _NORMAL**2), min(1.0, (middle + half) / (trials + _NORMAL**2))


def _rate(seen: int) -> str:
    lower, upper = wilson(seen, ANSWERS)
    return f"{seen} of {ANSWERS} ({lower:.1%} to {upper:.1%})"


def table(title: str, directory: Path) -> Table:
    rows: list[Sequence[str]] = []
    for name, settings in TYPES.items():
        loaded = load_packed_model(directory, settings)
        for kind, parameters in KINDS.items():
            console.print(f"{title}, {name}, {kind}")
            measured = measure(loaded, settings, parameters)
            rows.append([f"{name}, {kind}", _rate(measured.continued), _rate(measured.again)])
    return Table(["Answers", "Other words", "Run again"], rows, title)


def main() -> None:
    torch.set_num_threads(1)  # no other order of sums, and no waits for others that share the cores
    tables = [table("models/tiny", TINY), table("The real model", REAL)]
    write_report("continued_texts", title="Texts that another worker has gone on with", method=_METHOD, tables=tables)


if __name__ == "__main__":
    main()
