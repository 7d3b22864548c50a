"""A tokenizer for the small random models: a token for each character of ASCII."""

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

UNKNOWN = 128


def character_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {chr(code): code for code in range(UNKNOWN)} | {"<unknown>": UNKNOWN}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = Split(Regex(r"(?m)."), "isolated")
    tokenizer.decoder = Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)
