"""Prompt to token ids, and token ids back to text as they come, in whole characters."""

from tokenizers.decoders import DecodeStream
from transformers import PreTrainedTokenizerBase


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """The prompt as the model was trained to see it, its beginning-of-sequence token included."""
    ids: list[int] = tokenizer(prompt, verbose=False)["input_ids"]
    return ids


class Detokenizer:
    """The text of one answer, piece by piece; a piece never ends within a character."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._given = 0

    def push(self, token_id: int) -> str:
        """The characters that this token completes, often none."""
        self._ids.append(token_id)
        piece = self._stream.step(self._tokenizer.backend_tokenizer, token_id) or ""
        self._given += len(piece)
        return piece

    def flush(self) -> str:
        """What is left when no token follows: at most a character that the model did not finish, as U+FFFD."""
        text: str = self._tokenizer.backend_tokenizer.decode(self._ids, skip_special_tokens=True)
        return text[self._given :]
