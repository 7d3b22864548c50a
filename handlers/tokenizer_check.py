"""Checks that a tokenizer gives the tokens that its model was trained on, and none that the model does not have."""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from adapter.schema import ChatMessage, WorkerRequest
from handlers.chat_template import CONVERSATIONS
from handlers.request_encoder import RequestEncoder
from handlers.short_list import short_list
from handlers.slot_cache import UnsupportedModelError
from handlers.tokenization import PromptEncodingError, encode_prompt

logger = logging.getLogger(__name__)

_SAMPLES = ("Hello,  world! It's 2024.", "\n\n    def f(x1):\n\treturn x1\n", "a naïve café", "你好 🙂")
# Texts around which a tokenizer and a chat template write their own tokens.
_PROMPTS = (None, *(tuple(ChatMessage(role=role, content="a") for role in roles) for roles in CONVERSATIONS))


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, embeddings: int) -> None:
    """Compares the ids that the tokenizer can give with the rows of the model's embedding.

    Raises UnsupportedModelError where requests that nobody can tell from others would come to such an id: it is in
    the vocabulary that texts are made of, it is an added token that is no special one, and so part of any text, or the
    tokenizer or its chat template writes it itself. A special token that only a caller's own spelling of it can give
    is a warning: fine-tunes often add a [PAD] that way, and whoever does not type it never notices.
    """
    beyond = {name: token_id for name, token_id in tokenizer.get_vocab().items() if token_id >= embeddings}
    if not beyond:
        return
    added = tokenizer.added_tokens_decoder
    given = {name for name, token_id in beyond.items() if token_id not in added or not added[token_id].special}
    written = {*_written_ids(tokenizer), tokenizer.unk_token_id}
    given |= {name for name, token_id in beyond.items() if token_id in written}
    if given:
        raise UnsupportedModelError(
            f"the tokenizer has {len(beyond)} tokens beyond the model's {embeddings} embeddings, and ordinary requests"
            f" come to {short_list(map(repr, given))}. Training that adds tokens to the one must resize the other:"
            " model.resize_token_embeddings(len(tokenizer))"
        )
    logger.warning(
        "The tokenizer has %d special tokens beyond the model's %d embeddings: a request with the text of one of them"
        " cannot be answered (%s)",
        len(beyond),
        embeddings,
        short_list(map(repr, beyond)),
    )


def check_vocabulary_file(tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Raises UnsupportedModelError where transformers makes a tokenizer of less than the vocabulary, without a word.

    So some of its classes do with a vocab.json that is another class's (LlamaTokenizer: three tokens are left).
    """
    known = tokenizer.get_vocab().keys()
    lost = [entry for entry in _vocabulary_file(directory) if entry not in known]
    if lost:
        raise UnsupportedModelError(
            f"{type(tokenizer).__name__} does not know {len(lost)} tokens of the vocabulary's file"
            f" ({short_list(map(repr, lost))}): the right class writes the tokenizer.json that is missing"
        )


def _vocabulary_file(directory: Path) -> Iterable[str]:
    if (directory / "tokenizer.json").exists():
        return ()
    if (directory / "vocab.json").exists():
        vocabulary: dict[str, int] = json.loads((directory / "vocab.json").read_text(encoding="utf-8"))
        return vocabulary
    return (directory / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]


def warn_of_other_tokens(tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Logs a warning where the tokenizer does not split a text as the tokenizer.json of `directory` says.

    transformers 5 takes the vocabulary from it, and how to split from the class that tokenizer_config.json names
    (tokenization_utils_tokenizers.py, convert_to_native_format). The model was trained on one of the two.
    """
    if not (directory / "tokenizer.json").exists():
        return
    written = Tokenizer.from_file(str(directory / "tokenizer.json"))
    written.no_truncation()
    written.no_padding()
    for sample in _SAMPLES:
        with suppress(Exception):  # it is of no narrower type where a tokenizer has no token for a character
            expected = written.encode(sample, add_special_tokens=False).ids
            if tokenizer(sample, add_special_tokens=False)["input_ids"] != expected:
                logger.warning(
                    "%s, which tokenizer_config.json names, splits %r in another way than tokenizer.json says: the one"
                    " that the model was not trained on makes its answers worse",
                    type(tokenizer).__name__,
                    sample,
                )
                return


def warn_of_ended_prompts(tokenizer: PreTrainedTokenizerBase, stop_token_ids: frozenset[int]) -> None:
    """Logs a warning where the tokenizer writes the end of an answer behind each prompt.

    So it is for training (add_eos_token). What a model says behind it does not continue the prompt.
    """
    with suppress(PromptEncodingError):
        last = encode_prompt(tokenizer, "a")[-1:]
        if stop_token_ids.intersection(last):
            token = tokenizer.convert_ids_to_tokens(last)[0]
            logger.warning("The tokenizer ends each prompt with %s, behind which the model begins another text", token)


def _written_ids(tokenizer: PreTrainedTokenizerBase) -> Iterator[int]:
    """The ids of the tokens that surround a caller's text."""
    encoder = RequestEncoder(tokenizer)
    for messages in _PROMPTS:
        with suppress(Exception):  # many templates take no system message, and some tokenizers not every character
            yield from encoder.encode(WorkerRequest(id="", prompt="a", messages=messages))
