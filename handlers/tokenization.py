"""A request's prompt or conversation to token ids, and what ends its answer."""

from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from adapter.schema import WorkerRequest
from handlers.prompt_encoding import encode_prompt

_USERS_TURN = "\nUser:"  # in a conversation as plain text (adapter/openai/translation.py, plain_chat)
_MAX_REASON_CHARACTERS = 200


class ChatTemplateError(ValueError):
    """The model's chat template does not take the conversation, and the message says why."""


def encode_request(tokenizer: PreTrainedTokenizerBase, request: WorkerRequest) -> list[int]:
    """The prompt, or the conversation by the model's chat template where it has one."""
    if request.messages is None or tokenizer.chat_template is None:
        return encode_prompt(tokenizer, request.prompt)
    messages = [message.model_dump() for message in request.messages]
    try:
        # The template itself writes the special tokens.
        ids: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    except TemplateError as error:
        reason = " ".join(str(error).split())[:_MAX_REASON_CHARACTERS]
        raise ChatTemplateError(f"The model's chat template refuses these messages: {reason}") from error
    except Exception as error:  # what Jinja lets through is whatever the template's own expressions raise
        raise ChatTemplateError("The model's chat template fails on these messages.") from error
    return list(ids)


def stop_strings(tokenizer: PreTrainedTokenizerBase, request: WorkerRequest) -> tuple[str, ...]:
    """Those of the request. Without a chat template an answer also ends before it goes on as the user."""
    is_plain_chat = request.messages is not None and tokenizer.chat_template is None
    return (*request.stop, _USERS_TURN) if is_plain_chat else request.stop
