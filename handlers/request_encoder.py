"""A request's prompt or conversation to token ids, and what ends its answer."""

from transformers import PreTrainedTokenizerBase

from adapter.schema import WorkerRequest
from handlers.chat_template import ChatTemplate, ChatTemplateError
from handlers.chat_turns import for_template
from handlers.prompt_limit import NO_LIMIT, PromptLimit
from handlers.template_marks import PlainTextError, TemplateMarks
from handlers.tokenization import encode_prompt, encoding_of
from handlers.tool_formats import GENERIC, format_of

_USERS_TURN = "\nUser:"  # in a conversation as plain text (adapter/openai/translation.py, plain_chat)


class RequestEncoder:
    """
    special_tokens_in_messages: whether the text of a special token is that token in a conversation, too. In a prompt it
    always is: it is its author's own template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, special_tokens_in_messages: bool = False) -> None:
        """Raises ChatTemplateError where the chat template cannot be rendered at all."""
        self.tokenizer = tokenizer
        self._special_tokens_in_messages = special_tokens_in_messages
        self._chat_template = ChatTemplate(tokenizer) if tokenizer.chat_template else None
        self._marks = TemplateMarks(tokenizer)
        shows_tools = self._chat_template is not None and self._chat_template.shows_tools
        # How the model writes its calls.
        self.tool_format = format_of(tokenizer.get_chat_template()) if shows_tools else GENERIC

    def encode(self, request: WorkerRequest, limit: PromptLimit = NO_LIMIT) -> list[int]:
        """Raises what `limit` raises, PromptEncodingError, and ChatTemplateError where the chat template refuses."""
        if request.prompt_ids is not None:
            return list(request.prompt_ids)
        if request.messages is None:
            return encode_prompt(self.tokenizer, request.prompt)
        if self._chat_template is None:
            if request.tools:
                raise ChatTemplateError("The model has no chat template, so it cannot be told of tools.")
            return self._encode_plain_chat(request.prompt)
        messages, tools = for_template(request, shows_tools=self._chat_template.shows_tools)
        return self._chat_template.encode(
            messages,
            tools,
            continues=request.continue_final_message,
            special_tokens_in_messages=self._special_tokens_in_messages,
            limit=limit,
        )

    def _encode_plain_chat(self, prompt: str) -> list[int]:
        """Of a model without a template: there is no mark but the one that a prompt begins with."""
        encoding = encoding_of(self.tokenizer, prompt)
        if self._special_tokens_in_messages or not self._marks.find(encoding):
            return encode_prompt(self.tokenizer, prompt)
        try:
            return self._marks.encode(prompt, [], add_special_tokens=True)
        except PlainTextError as error:
            raise ChatTemplateError("The text of a special token in these messages cannot be read as text.") from error


def stop_strings(tokenizer: PreTrainedTokenizerBase, request: WorkerRequest) -> tuple[str, ...]:
    """Those of the request. Without a chat template an answer also ends before it goes on as the user."""
    is_plain_chat = request.messages is not None and tokenizer.chat_template is None
    return (*request.stop, _USERS_TURN) if is_plain_chat else request.stop
