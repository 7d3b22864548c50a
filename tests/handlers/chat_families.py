"""Small tokenizers with the special tokens and chat templates of the large model families, in the forms they have."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

_TEXT = (
    "Once upon a time there was a little cat. The quick brown fox jumps over the lazy dog. It's fun, isn't it? "
    "def add(a, b):\n    return a + b\n\n1, 2, 3, 4, 5, 6 user assistant system <|im_start|>tool [INST] end_of_turn! "
)
_TEMPLATES = Path(__file__).parent / "chat_templates"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def template(family: str) -> str:
    return (_TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")


def byte_level(*, form: normalizers.Normalizer | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if form is not None:
        tokenizer.normalizer = form
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([_TEXT], trainer)
    return tokenizer


def sentencepiece(*, prefix: str) -> Tokenizer:
    """BPE with byte fallback. `prefix`: whether a space comes before the text: "first", "each" part of it, "never"."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=450, special_tokens=["<unk>", "<s>", "</s>", *_BYTES], show_progress=False)
    tokenizer.train_from_iterator([_TEXT.replace("\n", " ")], trainer)
    learned = tokenizer.model
    tokenizer = Tokenizer(learned)
    if prefix == "first":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        prepend = [normalizers.Prepend("▁")] if prefix == "each" else []
        tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def chat_tokenizer(
    tokenizer: Tokenizer,
    chat_template: str,
    special: Sequence[str | AddedToken],
    shown: Sequence[str | AddedToken] = (),
    *,
    bos: str,
    eos: str,
) -> PreTrainedTokenizerFast:
    tokenizer.add_special_tokens(list(special))
    tokenizer.add_tokens([AddedToken(each, normalized=False) if isinstance(each, str) else each for each in shown])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        chat_template=chat_template,
        clean_up_tokenization_spaces=False,
    )


def llama_3() -> PreTrainedTokenizerFast:
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    return chat_tokenizer(byte_level(), template("llama_3"), special, bos=special[0], eos=special[-1])


def qwen() -> PreTrainedTokenizerFast:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    shown = ["<think>", "</think>", "<tool_response>", "</tool_response>"]
    tokenizer = byte_level(form=normalizers.NFC())
    return chat_tokenizer(tokenizer, template("qwen"), special, shown, bos=special[0], eos=special[-1])


def mistral() -> PreTrainedTokenizerFast:
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"]
    return chat_tokenizer(sentencepiece(prefix="first"), template("mistral"), special, bos="<s>", eos="</s>")


def gemma() -> PreTrainedTokenizerFast:
    special = ["<unk>", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>"]
    shown = ["\n", "\n\n", "▁▁", "<table>", "<h1>"]
    return chat_tokenizer(sentencepiece(prefix="never"), template("gemma"), special, shown, bos="<s>", eos="</s>")


def phi_3() -> PreTrainedTokenizerFast:
    """Its marks take the white space after them."""
    marks = ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
    special = ["<unk>", "<s>", "</s>", *(AddedToken(mark, rstrip=True, normalized=False) for mark in marks)]
    return chat_tokenizer(sentencepiece(prefix="each"), template("phi_3"), special, bos="<s>", eos="<|endoftext|>")


def deepseek() -> PreTrainedTokenizerFast:
    """Its marks of turns are added tokens, not special ones."""
    special, shown = (
        ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
        ["<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"],
    )
    return chat_tokenizer(byte_level(), template("deepseek"), special, shown, bos=special[0], eos=special[1])


def llama_2() -> PreTrainedTokenizerFast:
    """Only the beginning and the end of a turn are tokens: the rest of its marks is text."""
    special = ["<unk>", "<s>", "</s>"]
    return chat_tokenizer(sentencepiece(prefix="each"), template("llama_2"), special, bos="<s>", eos="</s>")


def gpt_oss() -> PreTrainedTokenizerFast:
    special = ["<|startoftext|>", "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>"]
    return chat_tokenizer(byte_level(), template("gpt_oss"), special, bos=special[0], eos=special[-1])


def command_r() -> PreTrainedTokenizerFast:
    turns = ["<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>"]
    special = ["<BOS_TOKEN>", *turns, "<|END_OF_TURN_TOKEN|>"]
    tokenizer = byte_level(form=normalizers.NFC())
    return chat_tokenizer(tokenizer, template("command_r"), special, bos=special[0], eos=special[-1])


_FAMILIES: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    make.__name__: make for make in (llama_3, qwen, mistral, gemma, phi_3, deepseek, llama_2, gpt_oss, command_r)
}
FAMILIES = tuple(_FAMILIES)


@cache
def family_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Shared by all who ask: do not change it."""
    return _FAMILIES[family]()


def marks_of(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """All tokens that these templates write."""
    texts = (token.content for token in tokenizer.added_tokens_decoder.values())
    shown = ("<table>", "<h1>", "<unk>", "▁▁")
    return {text: tokenizer.convert_tokens_to_ids(text) for text in texts if text.strip() and text not in shown}


def written(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> list[str]:
    names = {token_id: text for text, token_id in marks_of(tokenizer).items()}
    return [names[token_id] for token_id in ids if token_id in names]


def by_transformers(tokenizer: PreTrainedTokenizerFast, messages: Sequence[dict[str, Any]]) -> list[int]:
    ids: list[int] = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=False)
    return ids


def small_tokenizer(chat_template: str, special: Sequence[str] = ("<|a|>", "<|B|>")) -> PreTrainedTokenizerFast:
    return chat_tokenizer(byte_level(), chat_template, special, bos=special[0], eos=special[1])
