"""`make bench-int8_quality`: what weights of 8 bits cost in quality, on stories that are new to models/tiny."""

from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.report import Table, write_report
from handlers.model_loading import load_model
from handlers.packed_linear import pack_linear_layers
from handlers.settings import HandlerSettings
from training.story_batches import IGNORED, make_batches
from training.story_grammar import write_stories

TINY = Path(__file__).parents[1] / "models" / "tiny"
STORIES, SEED = 300, 1


@torch.inference_mode()
def judge(model: PreTrainedModel, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[float, torch.Tensor]:
    """Nats per token of the stories, and the likeliest token at each place."""
    loss, count, likeliest = 0.0, 0, []
    for tokens, labels in batches:
        logits = model(input_ids=tokens).logits[:, :-1].float()
        targets = labels[:, 1:]
        is_written = targets != IGNORED
        loss += float(cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"))
        count += int(is_written.sum())
        likeliest.append(logits.argmax(dim=-1)[is_written])
    return loss / count, torch.cat(likeliest)


def main() -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(TINY)
    stories = write_stories(SEED, STORIES, held_out=True)
    batches = [(batch.tokens, batch.labels) for batch in make_batches(tokenizer, stories, stories_per_batch=32)]
    rows = []
    exact, expected = float("nan"), torch.empty(0)
    for name, settings in {
        "float32": HandlerSettings(dtype="float32"),
        "bfloat16": HandlerSettings(dtype="bfloat16"),
        "int8": HandlerSettings(quantization="int8"),
    }.items():
        model = load_model(TINY, settings).model
        pack_linear_layers(model, int8=settings.quantization == "int8")
        nats, likeliest = judge(model, batches)
        if name == "float32":
            exact, expected = nats, likeliest
        same = float((likeliest == expected).float().mean())
        rows.append([name, f"{nats:.4f}", f"{nats / exact - 1:+.2%}", f"{same:.2%}"])
    write_report(
        "int8_quality",
        title="What weights of 8 bits cost in quality",
        method=(
            f"`models/tiny` on {STORIES} stories of its grammar that it was not trained on: nats per token that it had "
            "to write, and how often the likeliest next token is the one that float32 finds."
        ),
        tables=[Table(["Weights", "Nats per token", "against float32", "Same likeliest token"], rows)],
    )


if __name__ == "__main__":
    main()
