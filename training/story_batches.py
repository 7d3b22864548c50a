"""Encodes stories, says which tokens the model should learn to write, and puts stories of like length together.

A row holds one story: a name in the context is then always a name of this story, which is how the model learns to
keep to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training.story_grammar import Story

# The label that torch.nn.functional.cross_entropy leaves out by default.
IGNORED = -100


@dataclass(frozen=True, slots=True)
class EncodedStory:
    tokens: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Both [stories, longest story]; padding is at the end, so it needs no attention mask."""

    tokens: Tensor
    labels: Tensor

    @property
    def num_labels(self) -> int:
        return int((self.labels[:, 1:] != IGNORED).sum())


def encode_story(tokenizer: PreTrainedTokenizerFast, story: Story) -> EncodedStory:
    prompt: list[int] = tokenizer.encode(story.prompt)
    text: list[int] = tokenizer.encode(story.text, add_special_tokens=False)
    written = [*text, tokenizer.eos_token_id]
    return EncodedStory(prompt + written, [IGNORED] * len(prompt) + written)


def make_batches(tokenizer: PreTrainedTokenizerFast, stories: Iterable[Story], stories_per_batch: int) -> list[Batch]:
    """Shortest stories first; the last batch may be smaller."""
    encoded = sorted((encode_story(tokenizer, story) for story in stories), key=lambda story: len(story.tokens))
    groups = [encoded[begin : begin + stories_per_batch] for begin in range(0, len(encoded), stories_per_batch)]
    return [_pad(group, tokenizer.pad_token_id) for group in groups]


def _pad(stories: list[EncodedStory], pad_token_id: int) -> Batch:
    shape = (len(stories), len(stories[-1].tokens))
    tokens, labels = torch.full(shape, pad_token_id), torch.full(shape, IGNORED)
    for row, story in enumerate(stories):
        tokens[row, : len(story.tokens)] = torch.tensor(story.tokens)
        labels[row, : len(story.labels)] = torch.tensor(story.labels)
    return Batch(tokens, labels)
