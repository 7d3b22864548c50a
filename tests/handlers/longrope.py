"""Small models whose rotary positions have other factors beyond their original context."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from transformers import Phi3Config

from tests.handlers.conftest import random_model
from tests.handlers.saved_models import SIZES

TINY = Path(__file__).parents[2] / "models" / "tiny"
ORIGINAL, CONTEXT_LENGTH = 32, 128
SHAPE = SIZES | {
    "head_dim": 16,
    "max_position_embeddings": CONTEXT_LENGTH,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
Factors = Callable[[int], list[float]]  # so many of them


def short_factors(count: int) -> list[float]:
    return [1.0 + 0.1 * number for number in range(count)]


def long_factors(count: int) -> list[float]:
    return [2.0**number for number in range(count)]


def phi3(
    short: Factors = short_factors, long: Factors = long_factors, *, rotated: float = 1.0, vocab_size: int = 199
) -> Phi3Config:
    """rotated: the share of a head that has positions."""
    pairs = int(8 * rotated)
    return Phi3Config(
        **SHAPE | {"vocab_size": vocab_size},
        original_max_position_embeddings=ORIGINAL,
        partial_rotary_factor=rotated,
        rope_scaling={"type": "longrope", "short_factor": short(pairs), "long_factor": long(pairs)},
    )


def save_longrope(directory: Path) -> None:
    """A phi3 with the tokenizer of models/tiny."""
    vocab_size = json.loads((TINY / "config.json").read_text())["vocab_size"]
    random_model(phi3(vocab_size=vocab_size)).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY / name, directory / name)
