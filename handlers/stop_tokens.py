"""The tokens that end an answer: of generation_config.json, of the tokenizer, and of the chat template's turns."""

import logging
from collections.abc import Iterator
from typing import TypeGuard

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from handlers.chat_template import ChatTemplate

logger = logging.getLogger(__name__)


def stop_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """All three: fine-tunes often change one of them, and an answer that runs on writes the users' turns as well.

    Logs a warning where they differ. Raises ChatTemplateError.
    """
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [] if configured is None else [configured]
    num_tokens = model.get_output_embeddings().out_features
    named = {token_id for token_id in listed if _is_token(token_id, num_tokens)}
    if unknown := [token_id for token_id in listed if not _is_token(token_id, num_tokens)]:
        logger.warning("The eos_token_id of generation_config.json has what is no token of the model: %r", unknown)
    own = {token_id: whose for whose, token_id in _own(tokenizer) if _is_token(token_id, num_tokens)}
    for token_id in own.keys() - named if named else ():
        token = tokenizer.convert_ids_to_tokens(token_id)
        logger.warning("Answers end at %s %s, too, which generation_config.json does not name", own[token_id], token)
    if not named | own.keys():
        logger.warning("No token ends an answer: each goes on to its max_length")
    return frozenset(named | own.keys())


def _own(tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, object]]:
    yield "the tokenizer's", tokenizer.eos_token_id
    if tokenizer.chat_template:
        yield "the chat template's", ChatTemplate(tokenizer).end_of_turn()


def _is_token(value: object, num_tokens: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < num_tokens
