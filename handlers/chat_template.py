"""A conversation to token ids by the model's chat template, in which the texts of callers stay texts.

Nothing that a caller wrote becomes a token that the template marks turns with: not by its spelling, not by what the
template makes of it, nor together with what stands beside it. Without such text the ids are exactly those of
transformers' apply_chat_template.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from jinja2 import TemplateError
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from handlers.bounded_template import BoundedTemplate
from handlers.callers_text import Alphabet, TooManyCharactersError, is_callers
from handlers.prompt_limit import NO_LIMIT, PromptLimit
from handlers.template_marks import PlainTextError, TemplateMark, TemplateMarks
from handlers.tokenization import PromptEncodingError, encoding_of

_MAX_REASON_CHARACTERS = 200
# Words of the API, of which templates make marks: "<|" + role + "|>". Any other role is a caller's text.
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_QUESTION, _ANSWER = "Sample question", "Sample answer"
_TOOL = "sample_tool"
# Stands after a text that an answer is to go on with, as transformers' apply_chat_template has it. A template that
# strips the text is known by the space.
_CONTINUED = "CONTINUE_FINAL_MESSAGE_TAG "
# The roles of sample conversations. Many a template refuses some of them.
CONVERSATIONS = (
    ("user",),
    ("system", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user"),
)

Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]]  # as OpenAI's API and transformers' apply_chat_template have them


class ChatTemplateError(ValueError):
    """The model's chat template does not take the conversation, and the message says why."""


class ChatTemplate:
    """shows_tools: whether it tells the model of tools."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises ChatTemplateError where the tokenizer has no template that could be rendered."""
        self._tokenizer = tokenizer
        try:
            self._template = BoundedTemplate(tokenizer.get_chat_template())
        except (TemplateError, ValueError) as error:  # ValueError: several templates, and no "default"
            raise ChatTemplateError(f"The chat template cannot be rendered: {_few_words(error)}") from error
        # Some templates read a content's parts and lose one that is plain text: vLLM finds out which, too.
        self._contents_as_parts = False
        if not any(_QUESTION in text for text in self._sample_texts()):
            self._contents_as_parts = True
            self._contents_as_parts = any(_QUESTION in text for text in self._sample_texts())
        self._marks = TemplateMarks(tokenizer, "\0".join([self._template.literals, *self._sample_texts()]))
        self.shows_tools = any(_TOOL in text for text in self._sample_texts([_sample_tool()]))

    def encode(
        self,
        messages: Messages,
        tools: Tools = (),
        *,
        continues: bool = False,
        special_tokens_in_messages: bool = False,
        limit: PromptLimit = NO_LIMIT,
    ) -> list[int]:
        """The token ids up to where the assistant's answer begins. Raises ChatTemplateError and PromptEncodingError.

        messages: of the members that templates know, as "role" and "content". tools: none, unless `shows_tools`.
        continues: whether the answer goes on with the text of the last message.
        special_tokens_in_messages: whether the text of a special token is that token in a caller's text, too.
        limit: what it raises is raised.
        """
        text = self.render(messages, tools, continues=continues)
        limit.check_text(text)
        encoding = self._encode(text)
        # A mark that turns out to be a caller's text is read as text, together with what stands on both sides of it.
        limit.check_tokens(len(encoding.ids) - 2 * len(self._marks.find(encoding)))
        if special_tokens_in_messages:
            return encoding.ids
        try:
            hidden = self._render_hidden(messages, tools, alphabet := Alphabet(), continues=continues)
            marks = self._own_marks(hidden, alphabet.reveal(hidden), text, encoding)
            return encoding.ids if marks is None else self._marks.encode(text, marks)
        except (PlainTextError, TooManyCharactersError) as error:
            reason = "The text of a special token in these messages cannot be told from the chat template's own."
            raise ChatTemplateError(reason) from error

    def render(
        self, messages: Messages, tools: Tools = (), *, add_generation_prompt: bool = True, continues: bool = False
    ) -> str:
        """Renders as apply_chat_template does. Raises ChatTemplateError.

        continues: whether it ends with the text of the last message, and not with the beginning of an answer.
        """
        if continues:
            return self._up_to_last_text(messages, tools)
        present = [{key: value for key, value in message.items() if value is not None} for message in messages]
        if self._contents_as_parts:
            present = [_with_parts(message) for message in present]
        try:
            return self._template.render(
                messages=present,
                tools=tools or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._tokenizer.special_tokens_map,
            )
        except TemplateError as error:
            raise ChatTemplateError(f"The model's chat template refuses these messages: {_few_words(error)}") from error
        except Exception as error:  # what Jinja lets through is whatever the template's own expressions raise
            raise ChatTemplateError("The model's chat template fails on these messages.") from error

    def end_of_turn(self) -> int | None:
        """The token that the template writes after an assistant's message.

        None where there is none, and where a message in a conversation does not stand as an answer is generated:
        gpt-oss, say, ends each part of one with a token that is not the answer's end.
        """
        question, answer = {"role": "user", "content": _QUESTION}, {"role": "assistant", "content": _ANSWER}
        try:
            prompt = self.render([question])
            text = self.render([question, answer], add_generation_prompt=False)
            marks = self._marks.find(self._encode(text))
        except (ChatTemplateError, PromptEncodingError):
            return None
        before, found, after = text.partition(_ANSWER)
        if not found or before.rstrip() != prompt.rstrip():
            return None
        end = len(text) - len(after)
        following = next((mark for mark in marks if mark.begin >= end), None)
        return following.token_id if following and not text[end : following.begin].strip() else None

    def _up_to_last_text(self, messages: Messages, tools: Tools) -> str:
        *others, last = messages
        marked = {**last, "content": last["content"] + _CONTINUED}
        text = self.render([*others, marked], tools, add_generation_prompt=False)
        before, found, after = text.rpartition(_CONTINUED.rstrip())
        if not found or last["content"].strip() not in before:
            raise ChatTemplateError(
                "The model's chat template changes the last message, so no answer can go on with it."
            )
        return before if after.startswith(" ") else before.rstrip()

    def _render_hidden(self, messages: Messages, tools: Tools, alphabet: Alphabet, *, continues: bool) -> str:
        hidden = [_hidden(message, alphabet) for message in messages]
        return self.render(hidden, alphabet.hide(tools), continues=continues)

    def _own_marks(self, hidden: str, revealed: str, text: str, encoding: Encoding) -> list[TemplateMark] | None:
        """The marks that the template itself wrote into `text`; None if its `encoding` has no others."""
        if revealed != text:
            # The template took another way, because of something that it asked of a text. If it writes the same marks
            # on that way, and the texts add none to them there, those are all that there are.
            own = _ids(self._without_callers(hidden))
            if not own == _ids(self._marks.find(self._encode(revealed))) == _ids(self._marks.find(encoding)):
                raise PlainTextError("The template treats these texts in its own way.")
            return None
        if any(is_callers(hidden[mark.begin : mark.end]) for mark in self._marks.find(encoding)):
            return self._without_callers(hidden)
        return None

    def _without_callers(self, hidden: str) -> list[TemplateMark]:
        found = self._marks.find(self._encode(hidden))
        return [mark for mark in found if not is_callers(hidden[mark.begin : mark.end])]

    def _encode(self, text: str) -> Encoding:
        return encoding_of(self._tokenizer, text, add_special_tokens=False)

    def _sample_texts(self, tools: Tools = ()) -> Iterator[str]:
        for roles in CONVERSATIONS:
            with suppress(ChatTemplateError):
                yield self.render([{"role": role, "content": _QUESTION} for role in roles], tools)


def _sample_tool() -> Mapping[str, Any]:
    return {"type": "function", "function": {"name": _TOOL, "description": "", "parameters": {"type": "object"}}}


def _with_parts(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    return message | {"content": [{"type": "text", "text": content}]} if isinstance(content, str) else message


def _hidden(message: Mapping[str, Any], alphabet: Alphabet) -> dict[str, Any]:
    role = {"role": message["role"]} if message.get("role") in _ROLES else {}
    return {key: alphabet.hide(value) for key, value in message.items()} | role


def _ids(marks: Sequence[TemplateMark]) -> list[int]:
    return [mark.token_id for mark in marks]


def _few_words(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_REASON_CHARACTERS]
