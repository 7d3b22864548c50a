"""Tokens that are bytes of the text, in the two ways that tokenizers write them."""

import codecs
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenizers.decoders import Decoder
from transformers.convert_slow_tokenizer import bytes_to_unicode

_EACH_BYTE = "torchbridge.replace_each_byte"
_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_CHARACTER_OF: dict[int, str] = bytes_to_unicode()
_BYTE_OF = {character: byte for byte, character in _CHARACTER_OF.items()}


@dataclass(frozen=True, slots=True)
class ByteTokens:
    """`to_bytes` gives None for a token that is no bytes but text.

    `to_tokens` writes a text so that the decoder gives just this text. `errors` says how many U+FFFD the decoder makes
    of bytes that are no character, by the name of a handler of Python's codecs.
    """

    to_bytes: Callable[[str], bytes | None]
    to_tokens: Callable[[str], list[str]]
    errors: str = "strict"


def byte_tokens_of(decoder: Decoder | None) -> ByteTokens:
    """The kind that this decoder reads; it may be a sequence of several."""
    kinds = _kinds(json.loads(decoder.__getstate__())) if decoder is not None else set()
    if "ByteLevel" in kinds:
        return _BYTE_LEVEL
    return _BYTE_FALLBACK if "ByteFallback" in kinds else _NO_BYTES


def _kinds(state: dict[str, Any]) -> set[str]:
    return {state["type"]}.union(*map(_kinds, state.get("decoders", ())))


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


def _from_byte_level(token: str) -> bytes:
    try:
        return bytes(map(_BYTE_OF.__getitem__, token))
    except KeyError:  # an added token in letters of its own (tokenizers, pre_tokenizers/byte_level.rs, decode_chain)
        return token.encode()


def _from_fallback(token: str) -> bytes | None:
    byte = _FALLBACK.fullmatch(token)
    return bytes.fromhex(byte[1]) if byte else None


codecs.register_error(_EACH_BYTE, _replace_each_byte)

_NO_BYTES = ByteTokens(to_bytes=lambda _: None, to_tokens=lambda _: [])
# GPT-2 and most since: a character of the token stands for each byte. A character that breaks off is one U+FFFD.
_BYTE_LEVEL = ByteTokens(
    to_bytes=_from_byte_level,
    to_tokens=lambda text: ["".join(map(_CHARACTER_OF.__getitem__, text.encode()))] if text else [],
    errors="replace",
)
# SentencePiece: "<0xE2>" is a byte of a character that has no token. Each byte of a broken one is a U+FFFD.
_BYTE_FALLBACK = ByteTokens(
    to_bytes=_from_fallback,
    to_tokens=lambda text: [f"<0x{byte:02X}>" for byte in text.encode()],
    errors=_EACH_BYTE,
)
