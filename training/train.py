"""Makes models/tiny from nothing: stories, tokenizer, model, model card. Run as `python -m training.train`."""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from training.hyperparameters import Hyperparameters
from training.model_card import Measurement, write_model_card
from training.story_batches import make_batches
from training.story_grammar import write_stories
from training.train_model import create_model, held_out_loss, train_model
from training.train_tokenizer import train_tokenizer

MODEL_DIRECTORY = Path(__file__).parent.parent / "models" / "tiny"


def make_model(directory: Path, hyperparameters: Hyperparameters) -> Measurement:
    torch.set_num_threads(hyperparameters.num_threads)
    seed = hyperparameters.seed
    stories = list(write_stories(seed, hyperparameters.num_training_stories, held_out=False))
    held_out = list(write_stories(seed, hyperparameters.num_held_out_stories, held_out=True))

    tokenizer = train_tokenizer(
        (story.prompt + story.text for story in stories),
        hyperparameters.vocabulary_size,
        hyperparameters.max_position_embeddings,
    )
    batches = make_batches(tokenizer, stories, hyperparameters.stories_per_step)
    held_out_batches = make_batches(tokenizer, held_out, hyperparameters.stories_per_step)

    model = create_model(tokenizer, hyperparameters)
    started = time.monotonic()
    train_model(model, batches, hyperparameters)
    training_minutes = (time.monotonic() - started) / 60
    loss = held_out_loss(model, held_out_batches)

    num_held_out_tokens = sum(batch.num_labels for batch in held_out_batches)
    num_held_out_bytes = sum(len(story.text.encode()) for story in held_out)
    measurement = Measurement(
        num_parameters=model.num_parameters(),
        num_training_stories=len(stories),
        num_training_tokens=sum(int((batch.tokens != tokenizer.pad_token_id).sum()) for batch in batches),
        training_minutes=training_minutes,
        num_held_out_stories=len(held_out),
        perplexity=math.exp(loss),
        bits_per_byte=loss / math.log(2) * num_held_out_tokens / num_held_out_bytes,
    )
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    card = write_model_card(model, tokenizer, hyperparameters, measurement)
    (directory / "README.md").write_text(card, encoding="utf-8")
    return measurement


def main() -> None:
    defaults = Hyperparameters()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--stories", type=int, default=defaults.num_training_stories)
    parser.add_argument("--output", type=Path, default=MODEL_DIRECTORY)
    arguments = parser.parse_args()
    hyperparameters = replace(defaults, seed=arguments.seed, num_training_stories=arguments.stories)
    Console().print(make_model(arguments.output, hyperparameters))


if __name__ == "__main__":
    main()
