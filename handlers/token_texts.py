"""What text each token of a model is, as llguidance wants to know it (llguidance, _tokenizer.py, TokenizerWrapper).

It can read a tokenizer.json itself, but not every kind of decoder; and what it lets pass has to be what our decoder
makes of it.
"""

from collections.abc import Collection

from llguidance import LLTokenizer, TokenizerWrapper

from handlers.detokenization import TokenDecoder


class _TokenTexts:
    bos_token_id = None

    def __init__(self, decoder: TokenDecoder, stop_token_ids: Collection[int], vocabulary: int) -> None:
        self.eos_token_id = min(stop_token_ids)
        self.tokens = [decoder.bytes_of(token_id) for token_id in range(vocabulary)]
        self.special_token_ids = [token_id for token_id in decoder.special_tokens if token_id < vocabulary]

        # Of several tokens of one text the last: those of single bytes, for what has no token, come first.
        self._ids = {text: token_id for token_id, text in enumerate(self.tokens)}
        for special in self.special_token_ids:
            self._ids.pop(self.tokens[special], None)
        self._longest = max(map(len, self._ids))

    def __call__(self, text: bytes) -> list[int]:
        """Tokens whose texts together are this one, the longest first."""
        ids, start = [], 0
        while start < len(text):
            ends = range(min(len(text), start + self._longest), start, -1)
            end = next((end for end in ends if text[start:end] in self._ids), None)
            if end is None:
                break
            ids.append(self._ids[text[start:end]])
            start = end
        return ids


def token_texts(decoder: TokenDecoder, stop_token_ids: Collection[int], vocabulary: int) -> LLTokenizer:
    """vocabulary: how many tokens the model has, of which the tokenizer may know fewer, or more."""
    known = sorted(token_id for token_id in stop_token_ids if token_id < vocabulary)
    texts = TokenizerWrapper(_TokenTexts(decoder, known, vocabulary))
    return LLTokenizer(texts, n_vocab=vocabulary, eos_token=known)
