"""Turns the text of a prompt into token ids, as the model was trained to see it."""

from itertools import takewhile

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase


class PromptEncodingError(ValueError):
    """The tokenizer cannot write this prompt; the message is for the caller."""


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """With the beginning-of-sequence token, once: a prompt that begins with its text (a template that the caller filled
    in) gets no second one. Raises PromptEncodingError.
    """
    ids = encoding_of(tokenizer, prompt).ids
    before_any_text = zip(ids, encoding_of(tokenizer, "").ids, strict=False)
    added = [token_id for token_id, other in takewhile(lambda pair: pair[0] == pair[1], before_any_text)]
    is_there_already = bool(added) and ids[len(added) : 2 * len(added)] == added
    return ids[len(added) :] if is_there_already else ids


def encoding_of(tokenizer: PreTrainedTokenizerBase, text: str, *, add_special_tokens: bool = True) -> Encoding:
    """Raises PromptEncodingError."""
    try:
        batch = tokenizer(text, add_special_tokens=add_special_tokens, verbose=False)
    except MemoryError:
        raise
    except Exception as error:  # tokenizers raises no other class (models/unigram, models/wordlevel: without `unk`)
        raise PromptEncodingError("The model's tokenizer has no token for a character of this prompt.") from error
    encoding: Encoding = batch.encodings[0]
    return encoding
