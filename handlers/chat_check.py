"""Checks that conversations go through a model's chat template whole, before anybody has one with the model."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from transformers import PreTrainedTokenizerBase

from handlers.chat_template import CONVERSATIONS, ChatTemplate, ChatTemplateError
from handlers.tokenization import PromptEncodingError

logger = logging.getLogger(__name__)


def check_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Renders conversations in which each message has a text of its own.

    Raises ChatTemplateError where the template refuses all of them, or leaves out what a user says. That it leaves out
    another message is logged as a warning. To refuse some, those with a system message for instance, is its right.
    """
    if not tokenizer.chat_template:
        return
    template = ChatTemplate(tokenizer)
    refusals = [refusal for roles in CONVERSATIONS if (refusal := _check(template, roles)) is not None]
    if len(refusals) == len(CONVERSATIONS):
        raise ChatTemplateError(f"No conversation goes into the chat template: {refusals[0]}")


def _check(template: ChatTemplate, roles: Sequence[str]) -> ChatTemplateError | None:
    """Returns the template's refusal, if any."""
    messages = [{"role": role, "content": f"Marker {number}"} for number, role in enumerate(roles, start=1)]
    try:
        text = template.render(messages)
        with suppress(PromptEncodingError):  # not the template's fault: the tokenizer has no token for a character
            template.encode(messages)
    except ChatTemplateError as refusal:
        return refusal
    lost = [message["role"] for message in messages if message["content"] not in text]
    if "user" in lost:
        raise ChatTemplateError(f"The chat template leaves out what the user says (of {', '.join(roles)})")
    for role in lost:
        logger.warning("The chat template leaves out what the %s says (of %s)", role, ", ".join(roles))
    return None
