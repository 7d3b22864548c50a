"""Models that need no download: Llama's architecture, random weights, and a tokenizer that has one token for each word.

They never end by themselves, so that an answer is exactly as long as it was asked to be.
"""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

CACHE = Path(__file__).parent / ".cache"


class Size(NamedTuple):
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int


# Embeddings are tied. The smallest one has the shape of models/tiny, the largest one that of SmolLM-135M.
SIZES = {
    "2M": Size(2_048, 192, 4, 6, 3, 384),
    "25M": Size(32_768, 384, 8, 6, 2, 1_024),
    "135M": Size(49_152, 576, 30, 9, 3, 1_536),
}
CONTEXT_LENGTH = 4_096
# A chat of one message is that message: /v1/chat/completions then takes the same prompts as /generate.
_CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def random_model(size: str, dtype: torch.dtype) -> Path:
    """The directory of the model, made at the first call."""
    directory = CACHE / f"{size}-{str(dtype).removeprefix('torch.')}"
    if not directory.exists():
        unfinished = directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _make(SIZES[size], dtype, unfinished)
        unfinished.rename(directory)
    return directory


def _make(size: Size, dtype: torch.dtype, directory: Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(llama_config(size, is_tied=True), dtype=dtype)
    model.save_pretrained(directory)
    (directory / "generation_config.json").write_text(json.dumps({"do_sample": False}))
    make_tokenizer(size.vocabulary).save_pretrained(directory)


def llama_config(size: Size, *, is_tied: bool) -> LlamaConfig:
    """Of a model that never ends by itself; `is_tied` are its embeddings."""
    return LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        intermediate_size=size.intermediate,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=is_tied,
        bos_token_id=None,
        eos_token_id=None,
    )


def make_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    # "Ġ" is how byte-level tokenizers write a space before a word.
    words = {f"Ġ{word(number)}": number for number in range(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=f"Ġ{word(0)}"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)
    fast.chat_template = _CHAT_TEMPLATE
    return fast


def word(number: int) -> str:
    """Four letters for each token: as long as a token of English is."""
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(4))
