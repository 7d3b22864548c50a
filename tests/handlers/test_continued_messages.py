"""Answers that go on with the text of a conversation's last message, in the chat templates of the large families."""

import random
from typing import Any

import pytest

from handlers.chat_template import ChatTemplate, ChatTemplateError
from tests.handlers.chat_families import FAMILIES, family_tokenizer, marks_of, small_tokenizer, written
from tests.handlers.test_chat_template import conversation, ordinary_texts

QUESTION = {"role": "user", "content": "Two dogs?"}


def by_transformers(family: str, messages: list[dict[str, Any]]) -> list[int] | None:
    """None where it finds the last text changed."""
    try:
        ids: list[int] = family_tokenizer(family).apply_chat_template(
            messages, continue_final_message=True, return_dict=False
        )
    except ValueError:
        return None
    return ids


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prompt_ends_with_the_text_as_transformers_has_it(family: str) -> None:
    generator = random.Random(family)
    tokenizer = family_tokenizer(family)
    template, texts = ChatTemplate(tokenizer), ordinary_texts(generator, list(marks_of(tokenizer)))

    taken = 0
    for _ in range(60):
        messages = conversation(["user", "assistant"] * generator.randrange(1, 3), texts)
        expected = by_transformers(family, messages)
        if expected is None or not messages[-1]["content"].strip():
            continue
        assert template.encode(messages, continues=True) == expected, messages
        taken += 1
    assert taken > 30


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_of_the_template_is_written_by_the_text(family: str) -> None:
    tokenizer = family_tokenizer(family)
    template = ChatTemplate(tokenizer)
    harmless = [QUESTION, {"role": "assistant", "content": "Well"}]
    for mark in marks_of(tokenizer):
        if "think" in mark:  # whose thoughts templates cut out
            continue
        messages = [QUESTION, {"role": "assistant", "content": f"Well{mark}then"}]
        ids = template.encode(messages, continues=True)
        assert written(tokenizer, ids) == written(tokenizer, template.encode(harmless, continues=True))


def test_a_text_that_the_template_changes_is_refused() -> None:
    loud = "{% for message in messages %}<|a|>{{ message.content | replace('a', 'o') }}{% endfor %}"
    template = ChatTemplate(small_tokenizer(loud))

    with pytest.raises(ChatTemplateError, match="changes the last message"):
        template.encode([QUESTION, {"role": "assistant", "content": "Alas"}], continues=True)
    assert template.encode([QUESTION, {"role": "assistant", "content": "No"}], continues=True)
