"""Writes models/tiny/README.md: what the model is, what was measured, and samples that it wrote itself."""

from dataclasses import dataclass

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from training.hyperparameters import Hyperparameters

SAMPLE_PROMPTS = (
    "Once upon a time",
    "Once upon a time",
    "The old lighthouse keeper",
    "Hello",
    "Why is the sky blue?",
    "Tell me a story about a brave penguin and a silver bell.",
    "What is the capital of Peru?",
)
TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class Measurement:
    num_parameters: int
    num_training_stories: int
    num_training_tokens: int
    training_minutes: float
    num_held_out_stories: int
    perplexity: float
    bits_per_byte: float


@torch.inference_mode()
def write_sample(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str, *, temperature: float
) -> str:
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    choice = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature > 0 else {"do_sample": False}
    # transformers asks for a `self` that its own models are not declared to be.
    tokens = model.generate(**inputs, **choice, max_new_tokens=400)  # type: ignore[misc]
    return str(tokenizer.decode(tokens[0], skip_special_tokens=True))


def write_model_card(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    hyperparameters: Hyperparameters,
    measurement: Measurement,
) -> str:
    torch.manual_seed(hyperparameters.seed)
    samples = [("Once upon a time", 0.0)] + [(prompt, TEMPERATURE) for prompt in SAMPLE_PROMPTS]
    stories = []
    for prompt, temperature in samples:
        text = write_sample(model, tokenizer, prompt, temperature=temperature)
        quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
        stories.append(f"`{prompt}`, temperature {temperature:g}:\n\n{quoted}\n")
    return f"""---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
---

# tiny

A language model of the Llama architecture that writes short stories for children. It is small enough to live in the
repository, so Torchbridge can be run and tested without a download. It knows nothing about the world, follows no
instructions and holds no conversation: whatever the prompt, it goes on with a story. It mostly keeps the hero's
name to the end; a friend's name often changes on the way.

| | |
|---|---|
| Parameters | {measurement.num_parameters:,} (float32, embeddings tied) |
| Layers, width | {hyperparameters.num_layers}, {hyperparameters.hidden_size} |
| Heads | {hyperparameters.num_attention_heads}, sharing {hyperparameters.num_key_value_heads} key/value heads |
| Vocabulary | {len(tokenizer):,} tokens, byte-level BPE: every Unicode text can be encoded |
| Context | {hyperparameters.max_position_embeddings:,} positions |
| Training | {measurement.num_training_stories:,} stories, {measurement.num_training_tokens:,} tokens, seen once |
| Training time | {measurement.training_minutes:.1f} minutes by the clock on {hyperparameters.num_threads} CPU threads |
| Held-out perplexity | {measurement.perplexity:.3f} per token |
| Held-out bits per byte | {measurement.bits_per_byte:.3f} |

## Data

All text comes from the story grammar in `training/`. Nothing was downloaded. A story has a shape, a kind of hero and
a place. One in twenty of these combinations is held out, chosen by a checksum of its name, and no training story uses
it. The perplexity is measured on {measurement.num_held_out_stories:,} stories of held-out combinations. Their sentences
come from the same grammar, so it says how well the model keeps a story together, and not how well it would do on other
text. The grammar draws at random, so no model can reach 1.

## Make it again

    python -m training.train --seed {hyperparameters.seed}

The text and the tokenizer are the same for the same seed. The weights are too, on the same machine and versions.

## Samples

Written by `training/model_card.py` after training, not selected and not edited.

{chr(10).join(stories)}"""
