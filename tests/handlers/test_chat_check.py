import copy
import logging

import pytest
from transformers import PreTrainedTokenizerFast

from handlers import bounded_template
from handlers.chat_check import check_chat_template
from handlers.chat_template import ChatTemplateError
from tests.handlers.chat_families import FAMILIES, family_tokenizer

PART = "{% for message in messages %}{{ message.content[0]['text'] }}{% endfor %}"
WITHOUT_SYSTEM = (
    "{% for message in messages if message.role != 'system' %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
)


def with_template(template: str | dict[str, str] | None) -> PreTrainedTokenizerFast:
    changed = copy.deepcopy(family_tokenizer("qwen"))
    changed.chat_template = template
    return changed


@pytest.mark.parametrize("family", FAMILIES)
def test_template_of_a_family_passes_without_a_word(family: str, caplog: pytest.LogCaptureFixture) -> None:
    check_chat_template(family_tokenizer(family))

    assert not caplog.records


@pytest.mark.parametrize("template", [None, "", PART], ids=["none", "empty", "of parts"])
def test_template_that_keeps_what_the_user_says_passes(template: str | None) -> None:
    check_chat_template(with_template(template))


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"tool_use": PART, "rag": PART}, r"cannot be rendered: .*multiple chat templates"),
        ("{% for message in messages %}{{ message.content }}", r"cannot be rendered: Unexpected end of template"),
        ("{{ raise_exception('Never.') }}", r"No conversation goes into the chat template: .* Never\."),
        ("{{ messages[0].content + 1 }}", r"No conversation goes into the chat template: .* fails on these messages"),
        ("{% for message in messages %}{{ message.text }}{% endfor %}", r"leaves out what the user says \(of user\)"),
        (
            "{% for message in messages[:2] %}{{ message.content }}{% endfor %}",
            r"leaves out what the user says \(of user, assistant, user\)",
        ),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", r"No conversation goes"),
    ],
    ids=["no default", "syntax error", "refuses all", "fails", "loses the text", "loses a turn", "endless"],
)
def test_template_that_cannot_work_is_refused(
    template: str | dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_template, "MOST_WORK", 5_000)  # the true one takes a second for each conversation
    with pytest.raises(ChatTemplateError, match=reason):
        check_chat_template(with_template(template))


def test_template_that_leaves_out_system_messages_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_chat_template(with_template(WITHOUT_SYSTEM))

    assert [record.getMessage() for record in caplog.records] == [
        "The chat template leaves out what the system says (of system, user)",
        "The chat template leaves out what the system says (of system, user, assistant, user)",
    ]
