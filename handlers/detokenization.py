"""Token ids back to text as they come: what the tokenizer makes of all of them, in pieces of whole characters.

A tokenizer's decoder makes a text of token strings, and what it makes of one depends on those before: the first loses
its space, bytes wait for the rest of their character. So each token is decoded behind the last few before it, which
costs the same however long the answer is, and the decoder is given whole characters alone.

tokenizers' own DecodeStream does not do here: it raises where bytes that it gave as a character turn out to be part of
a run that is no UTF-8 (huggingface/tokenizers#1705), and waits for ever behind a text that ends in U+FFFD.
"""

import codecs
from collections.abc import Callable, Mapping, Sequence

from transformers import PreTrainedTokenizerBase

from handlers.byte_tokens import byte_tokens_of

# Token strings that are decoded before a new one: at least, and (with as many again) at most.
_CONTEXT = 4
_OTHER = "a"  # a token before the one that is looked at, and behind it
_MOST_LOOKED_AT = 10_000  # tokens, of which one begins with a space where any does
_Utf8Decoder = codecs.getincrementaldecoder("utf-8")


class TokenDecoder:
    """What the answers of a model have in common: its vocabulary and its tokenizer's decoder."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        backend = tokenizer.backend_tokenizer
        added = backend.get_added_tokens_decoder()
        self.special_tokens: Mapping[int, str] = {key: token.content for key, token in added.items() if token.special}
        self.token_of: Callable[[int], str | None] = backend.id_to_token
        self.byte_tokens = byte_tokens_of(backend.decoder)
        # A tokenizer without a decoder puts a space between its tokens (tokenizers, tokenizer/mod.rs, decode).
        self.decode: Callable[[list[str]], str] = backend.decoder.decode if backend.decoder else " ".join

    def bytes_of(self, token_id: int) -> bytes:
        """The text of one token within others, in UTF-8; of a special token its name."""
        token = self.token_of(token_id)
        if token is None:
            return b""
        if token_id in self.special_tokens:
            return self.special_tokens[token_id].encode()
        content = self.byte_tokens.to_bytes(token)
        return self._text_between_others(token).encode() if content is None else content

    @property
    def drops_first_space(self) -> bool:
        """Whether a text of its own lacks the space that its first token begins with."""
        tokens = filter(None, map(self.token_of, range(_MOST_LOOKED_AT)))
        spaced = next((token for token in tokens if self._text_between_others(token).startswith(" ")), None)
        return spaced is not None and not self.decode([spaced]).startswith(" ")

    def _text_between_others(self, token: str) -> str:
        """Decoders drop the space of the first token, or that of the last one."""
        rest = self.decode([_OTHER, _OTHER])[len(_OTHER) :]
        return self.decode([_OTHER, token, _OTHER])[len(_OTHER) : -len(rest)]


class Detokenizer:
    """The text of one answer, piece by piece; a piece never ends within a character, and the pieces hold no special
    tokens. At most three bytes, of a character that is not finished, are held back.

    Together with the prompt's text they are what the tokenizer makes of all ids, but where bytes are no characters:
    then each such byte is a U+FFFD by itself, and what was given stays.
    """

    def __init__(self, decoder: TokenDecoder, prompt: Sequence[int] = ()) -> None:
        """`prompt`: the ids that the answer goes on from. Without them it is decoded as a text of its own."""
        self._decoder = decoder
        self._utf8 = _Utf8Decoder(decoder.byte_tokens.errors)
        self._window: list[str] = []
        for token in filter(None, map(decoder.token_of, prompt[-_CONTEXT:])):
            self._window += self._whole_characters(token)
        self._context = len(self._window)  # the first tokens of the window, without which the last can be decoded, too
        self._text = self._decode()

    @property
    def is_within_character(self) -> bool:
        return bool(self._utf8.getstate()[0])

    def push(self, token_id: int) -> str:
        """The characters that this token completes, often none."""
        token = self._decoder.token_of(token_id)
        if token is None or token_id in self._decoder.special_tokens:
            return ""
        return self._add(self._whole_characters(token))

    def flush(self) -> str:
        """What is left when no token follows: at most a character that the model did not finish, as U+FFFD."""
        return self._add(self._rest())

    def _add(self, tokens: list[str]) -> str:
        if not tokens:
            return ""
        if len(self._window) >= self._context + _CONTEXT:
            del self._window[: self._context]
            self._context = len(self._window)
            self._text = self._decode()
        self._window += tokens
        before, self._text = self._text, self._decode()
        return self._text[len(before) :]

    def _decode(self) -> str:
        return self._decoder.decode(self._window) if self._window else ""

    def _whole_characters(self, token: str) -> list[str]:
        """What the decoder can be given now: this token, or the characters that its bytes complete."""
        content = self._decoder.byte_tokens.to_bytes(token)
        if content is None:
            return [*self._rest(), token]
        return self._decoder.byte_tokens.to_tokens(self._utf8.decode(content))

    def _rest(self) -> list[str]:
        return self._decoder.byte_tokens.to_tokens(self._utf8.decode(b"", final=True))
