"""Small tokenizers of every family that causal language models use, and random models for them.

All are made in process and are the same at every call. Each has special tokens that its answers hide (beginning, end,
ChatML's marks) and added tokens that they show.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
TURN_BEGIN, TURN_END = "<|im_start|>", "<|im_end|>"
SHOWN = ("<think>", "<tool_call>")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

_TEXT = (
    "Once upon a time there was a little cat. The quick brown fox jumps over the lazy dog. It's fun, isn't it? "
    "def add(a, b):\n    return a + b\n1, 2, 3, 4, 5, 6 user assistant system User: Assistant: Be brief! Hello you. "
)
_CHARACTERS = sorted({chr(code) for code in range(33, 127)} | set(_TEXT.replace(" ", "")))
_WORDS = sorted(set(_TEXT.split()))
_SENTENCEPIECE = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]


def byte_level(*, add_prefix_space: bool = False) -> Tokenizer:
    """GPT-2, Llama 3, Qwen, SmolLM2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    # The second text makes tokens that begin or end within a character, as real ones do, and one that is U+FFFD.
    tokenizer.train_from_iterator([_TEXT, "naïve café ��" * 3], trainer)
    return tokenizer


def byte_level_with_prefix_space() -> Tokenizer:
    """RoBERTa, BART."""
    return byte_level(add_prefix_space=True)


def llama2() -> Tokenizer:
    """Llama 2, Mistral, TinyLlama: byte fallback, and a space before the text that decoding strips again."""
    tokenizer = _byte_fallback_bpe()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([*_SENTENCEPIECE, decoders.Strip(" ", 1, 0)])
    return tokenizer


def gemma() -> Tokenizer:
    """Byte fallback, and every space is kept."""
    tokenizer = _byte_fallback_bpe()
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(_SENTENCEPIECE)
    return tokenizer


def phi3() -> Tokenizer:
    """As Llama 2, with marks of turns that take the space after them."""
    tokenizer = llama2()
    marks = ("<|user|>", "<|assistant|>", "<|end|>")
    tokenizer.add_special_tokens([AddedToken(mark, rstrip=True, normalized=False) for mark in marks])
    return tokenizer


def metaspace_bpe() -> Tokenizer:
    tokenizer = _byte_fallback_bpe()
    tokenizer.model.byte_fallback = False
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def unigram() -> Tokenizer:
    """T5, XGLM."""
    tokenizer = Tokenizer(models.Unigram([(UNKNOWN, 0.0), *_unigram_pieces()], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def unigram_with_byte_fallback() -> Tokenizer:
    pieces = [(UNKNOWN, 0.0), *((byte, -20.0) for byte in BYTES), *_unigram_pieces()]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([*_SENTENCEPIECE, decoders.Strip(" ", 1, 0)])
    return tokenizer


def unigram_without_unknown() -> Tokenizer:
    """It fails on a text with any character that it does not know, as "café"."""
    tokenizer = Tokenizer(models.Unigram(_unigram_pieces()))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def wordpiece() -> Tokenizer:
    """BERT: words, their continuations behind "##", and a decoder that takes the space before a full stop away."""
    entries = [UNKNOWN, *_CHARACTERS, *(f"##{character}" for character in _CHARACTERS), "##ing", "the", "once", "n't"]
    tokenizer = Tokenizer(models.WordPiece(_numbered(entries), unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def word_level() -> Tokenizer:
    """No decoder: words with a space between them."""
    tokenizer = Tokenizer(models.WordLevel(_numbered([UNKNOWN, *_WORDS, "café"]), unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def character_level() -> Tokenizer:
    entries = [UNKNOWN, " ", *_CHARACTERS, "é", "�", "😀"]
    tokenizer = Tokenizer(models.WordLevel(_numbered(entries), unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"(?m)."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def end_of_word_bpe() -> Tokenizer:
    """GPT 1, XLM: "</w>" ends a word, and decoding makes a space of all but the last."""
    # By hand, as the trainer numbers the letters that end a word as it likes.
    ends = [f"{character}</w>" for character in _CHARACTERS]
    merges = [("t", "h"), ("th", "e</w>"), ("o", "n"), ("c", "e</w>"), ("on", "ce</w>"), ("i", "n"), ("in", "g</w>")]
    vocabulary = _numbered([UNKNOWN, *_CHARACTERS, *ends, *("".join(pair) for pair in merges)])
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=UNKNOWN, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return tokenizer


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    make.__name__: make
    for make in (
        byte_level,
        byte_level_with_prefix_space,
        llama2,
        gemma,
        phi3,
        metaspace_bpe,
        unigram,
        unigram_with_byte_fallback,
        unigram_without_unknown,
        wordpiece,
        word_level,
        character_level,
        end_of_word_bpe,
    )
}
BYTE_FALLBACK_FAMILIES = ("llama2", "gemma", "phi3", "unigram_with_byte_fallback")


@cache
def make_tokenizer(family: str, chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """Shared by all who ask: do not change it."""
    tokenizer = FAMILIES[family]()
    tokenizer.add_special_tokens([BEGIN, END, TURN_BEGIN, TURN_END])
    tokenizer.add_tokens([AddedToken(content, normalized=False) for content in SHOWN])
    begin = (BEGIN, tokenizer.token_to_id(BEGIN))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[begin])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        chat_template=chat_template,
    )


def save_random_model(
    directory: Path, family: str, *, architecture: str = "llama", chat_template: str | None = None, seed: int = 0
) -> PreTrainedTokenizerFast:
    """Writes a model of about 100 kB whose greedy answers are far from ties, `llama` or `gpt2`, with its tokenizer."""
    tokenizer = make_tokenizer(family, chat_template)
    torch.manual_seed(seed)
    config = _CONFIGURATIONS[architecture](len(tokenizer))
    config.initializer_range = 0.3
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return tokenizer


_CONFIGURATIONS: dict[str, Callable[[int], PreTrainedConfig]] = {
    "llama": lambda vocabulary: LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=True,
    ),
    "gpt2": lambda vocabulary: GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=2, n_positions=256),
}


def _byte_fallback_bpe() -> Tokenizer:
    learned = Tokenizer(models.BPE(unk_token=UNKNOWN))
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=450, special_tokens=[UNKNOWN, *BYTES], initial_alphabet=_CHARACTERS, show_progress=False
    )
    learned.train_from_iterator([_TEXT.replace("\n", " ")], trainer)
    # The bytes are special to the trainer alone: in the tokenizer they are entries like others.
    tokenizer = Tokenizer(learned.model)
    tokenizer.model.byte_fallback = True
    tokenizer.model.fuse_unk = True
    return tokenizer


def _unigram_pieces() -> list[tuple[str, float]]:
    words = [(f"▁{word}", -2.0) for word in _WORDS]
    return [("▁", -5.0), *((character, -10.0) for character in _CHARACTERS), *words]


def _numbered(entries: list[str]) -> dict[str, int]:
    return {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
