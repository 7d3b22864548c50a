"""`make bench-int8_quality`: what weights of 8 bits cost in quality, on text that is new to the models.

models/tiny has stories of its grammar that it was not trained on. The real chat model has CHANGELOG.md, which
is younger than it is, and answers questions, greedily.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

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
from training.story_batches import IGNORED, make_batches
from training.story_grammar import write_stories

TINY = PROJECT / "models" / "tiny"
STORIES, SEED = 300, 1
WINDOWS, WINDOW = 12, 512  # of CHANGELOG.md: so many, of so many tokens
QUESTIONS, ANSWER = 16, 64  # answers of so many tokens
KINDS = {
    "float32": HandlerSettings(dtype="float32"),
    "bfloat16": HandlerSettings(dtype="bfloat16"),
    "int8": HandlerSettings(quantization="int8"),
}
_METHOD = f"""\
The layers are those of a worker; beside `int8` is bfloat16 where this processor has units for it, and float32 where it
has none. SmolLM2-135M-Instruct (`make real-model`) reads {WINDOWS} pieces of {WINDOW} tokens of CHANGELOG.md,
which was written after it was trained, and models/tiny {STORIES} stories of its grammar that it was not trained on.
*Nats per token* are those that it had to write; the perplexity is their exponential. *Same likeliest token*: how often
it is the one that float32 finds after the same text. The real model then answers {QUESTIONS} questions with at most
{ANSWER} tokens each, greedily, as a worker does: *same answers* are those of float32 to the last token, and *before the
first other token* is how many both have in common, on average. An answer goes its own way after one other choice,
however near the two were."""

Batches = Sequence[tuple[Tensor, Tensor]]


class Judged(NamedTuple):
    """nats: per token of the text; likeliest: the token that the model would write at each place."""

    nats: float
    likeliest: Tensor


class Measured(NamedTuple):
    judged: Judged
    answers: list[list[int]] | None


@torch.inference_mode()
def judge(model: PreTrainedModel, batches: Batches) -> Judged:
    """batches: tokens and labels, both [texts, length]."""
    loss, count, likeliest = 0.0, 0, []
    for tokens, labels in batches:
        logits = model(input_ids=tokens).logits[:, :-1].float()
        targets = labels[:, 1:]
        is_written = targets != IGNORED
        loss += float(cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"))
        count += int(is_written.sum())
        likeliest.append(logits.argmax(dim=-1)[is_written])
    return Judged(loss / count, torch.cat(likeliest))


def answers(loaded: LoadedModel, settings: HandlerSettings) -> list[list[int]]:
    """Of the questions, in their order, as a worker gives them to so many streams."""
    engine = worker_engine(loaded, settings, None)
    for number, (question, _) in enumerate(questions(QUESTIONS, SEED)):
        chat = [{"role": "user", "content": question}]
        prompt = loaded.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        engine.submit(str(number), cast("list[int]", prompt), ANSWER, SamplingParameters())
    return _run(engine)


def _run(engine: Engine) -> list[list[int]]:
    written: dict[str, list[int]] = {str(number): [] for number in range(QUESTIONS)}
    while engine.has_work:
        if (step := engine.step()) is not None:
            for name, token in zip(step.ids, step.tokens, strict=True):
                written[name].append(token)
    return list(written.values())


def in_common(answer: Sequence[int], expected: Sequence[int]) -> int:
    """Tokens from the start on."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(answer, expected, strict=False)))


def stories(tokenizer: PreTrainedTokenizerFast) -> Batches:
    written = write_stories(SEED, STORIES, held_out=True)
    return [(batch.tokens, batch.labels) for batch in make_batches(tokenizer, written, stories_per_batch=32)]


def readme(tokenizer: PreTrainedTokenizerFast) -> Batches:
    tokens = torch.tensor(tokenizer((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"))["input_ids"])
    windows = tokens[: WINDOWS * WINDOW].view(WINDOWS, 1, WINDOW)
    return [(window, window) for window in windows]


def measure(
    directory: Path, settings: HandlerSettings, text_of: Callable[[PreTrainedTokenizerFast], Batches], *, asked: bool
) -> Measured:
    loaded = load_packed_model(directory, settings)
    batches = text_of(PreTrainedTokenizerFast.from_pretrained(directory))
    return Measured(judge(loaded.model, batches), answers(loaded, settings) if asked else None)


def table(title: str, measured: Mapping[str, Measured]) -> Table:
    exact = measured["float32"]
    header = ["Weights", "Nats per token", "Perplexity", "against float32", "Same likeliest token"]
    rows = [_row(name, each.judged, exact.judged) for name, each in measured.items()]
    if exact.answers is not None:
        header += ["Same answers", "Before the first other token"]
        for row, each in zip(rows, measured.values(), strict=True):
            row.extend(_row_of_answers(each.answers or [], exact.answers))
    return Table(header, rows, title)


def _row(name: str, judged: Judged, exact: Judged) -> list[str]:
    perplexity, expected = (float(torch.tensor(each.nats, dtype=torch.float64).exp()) for each in (judged, exact))
    same = float((judged.likeliest == exact.likeliest).float().mean())
    return [name, f"{judged.nats:.4f}", f"{perplexity:.3f}", f"{perplexity / expected - 1:+.2%}", f"{same:.2%}"]


def _row_of_answers(answered: list[list[int]], expected: list[list[int]]) -> list[str]:
    common = [in_common(*pair) for pair in zip(answered, expected, strict=True)]
    same = sum(mine == own for mine, own in zip(answered, expected, strict=True))
    longest = sum(map(len, expected)) / len(expected)
    return [f"{same} of {len(expected)}", f"{sum(common) / len(common):.1f} of {longest:.1f}"]


def main() -> None:
    tables = []
    for title, directory, text_of, asked in (
        ("The real model", REAL, readme, True),
        ("models/tiny", TINY, stories, False),
    ):
        console.print(f"{title}: some minutes" if asked else title)
        measured = {name: measure(directory, each, text_of, asked=asked) for name, each in KINDS.items()}
        tables.append(table(title, measured))
    write_report("int8_quality", title="What weights of 8 bits cost in quality", method=_METHOD, tables=tables)


if __name__ == "__main__":
    main()
