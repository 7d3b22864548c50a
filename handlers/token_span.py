"""How much text one token can stand for, so that a prompt that cannot fit is known by its length."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from tokenizers import Tokenizer, normalizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerBase

# How many characters of a text one character can stand for after this step. A composed character comes from four at
# most (UAX #15, U+1F82 is one). A step that is not here may leave out any amount of a text.
_NORMALIZERS = {"NFC": 4, "NFKC": 4, "NFD": 1, "NFKD": 1, "Prepend": 1, "Lowercase": 1, "ByteLevel": 1}
_PRE_TOKENIZERS = {"ByteLevel", "Metaspace", "Digits", "UnicodeScripts", "Split", "Punctuation"}

_WHITESPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
_NO_BYTES_OF_TEXT = {0xC0, 0xC1, *range(0xF5, 0x100)}  # UTF-8 has no use for them
_BYTES_IN_WORDS = {f"<0x{byte:02X}>" for byte in set(range(0x100)) - _NO_BYTES_OF_TEXT}


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """A token of this tokenizer stands for `characters` of a text at most; those of `uncounted` come on top."""

    characters: int
    uncounted: str

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Self | None:
        """None where it is not sure that there is a limit, as of a tokenizer with one token for any unknown word."""
        backend: Tokenizer = tokenizer.backend_tokenizer
        vocabulary = tokenizer.get_vocab()
        growth, lost = _growth(backend), _lost_characters(backend, vocabulary)
        if growth is None or lost is None or not _keeps_all(backend):
            return None
        # Such a token takes the whitespace beside it with it (tokenizers, added_vocabulary.rs, find_matches).
        if any(token.lstrip or token.rstrip for token in tokenizer.added_tokens_decoder.values()):
            lost = "".join({*lost, *_WHITESPACE})
        return cls(growth * max(map(len, vocabulary)), lost)

    def least_tokens(self, text: str) -> int:
        """How many tokens `text` has at least. It is cheap: milliseconds where to count them takes a second."""
        counted = len(text) - sum(map(text.count, self.uncounted))
        return -(-counted // self.characters)


def _growth(backend: Tokenizer) -> int | None:
    growth = 1
    for step in _steps(backend.normalizer, "normalizers"):
        if step["type"] == "Replace":
            pattern = step["pattern"].get("String")  # else it is a regular expression
            if pattern is None or len(step["content"]) < len(pattern):
                return None
        elif step["type"] in _NORMALIZERS:
            growth *= _NORMALIZERS[step["type"]]
        else:
            return None
    return growth


def _keeps_all(backend: Tokenizer) -> bool:
    return all(
        step["type"] in _PRE_TOKENIZERS and step.get("behavior") != "Removed"
        for step in _steps(backend.pre_tokenizer, "pretokenizers")
    )


def _lost_characters(backend: Tokenizer, vocabulary: dict[str, int]) -> str | None:
    """The characters that BPE does not know: it leaves them out, or takes a row of them for one token.

    None where that may be any character.
    """
    model = backend.model
    if not isinstance(model, BPE):
        return None
    steps = [*_steps(backend.normalizer, "normalizers"), *_steps(backend.pre_tokenizer, "pretokenizers")]
    if not any(step["type"] == "ByteLevel" for step in steps):
        return "" if model.byte_fallback and vocabulary.keys() >= _BYTES_IN_WORDS else None
    letters = normalizers.ByteLevel()  # one for each byte
    # A character beyond ASCII is known in part at least where the bytes that it goes on with are.
    if any(letters.normalize_str(chr(code))[-1] not in vocabulary for code in range(0x80, 0xC0)):
        return None
    return "".join(chr(code) for code in range(0x80) if letters.normalize_str(chr(code)) not in vocabulary)


def _steps(component: Any, children: str) -> Iterator[dict[str, Any]]:
    """What a normalizer or pre-tokenizer is made of, as tokenizer.json says it."""
    pending = [] if component is None else [json.loads(component.__getstate__())]
    while pending:
        step = pending.pop()
        if step["type"] == "Sequence":
            pending += step[children]
        else:
            yield step
