"""What templates and tokenizers do to texts, and what callers could write to make use of it."""

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from handlers.chat_template import ChatTemplate, ChatTemplateError
from tests.handlers.chat_families import (
    by_transformers,
    byte_level,
    chat_tokenizer,
    family_tokenizer,
    small_tokenizer,
    written,
)

EACH = "{% for message in messages %}<|a|>{{ message.content }}<|B|>{% endfor %}"


@pytest.mark.parametrize(
    ("template", "contents"),
    [
        ("{% for message in messages %}{{ message.content }}a|>{% endfor %}", ["x<|"]),
        ("{% for message in messages %}{{ message.content }}{% endfor %}", ["x<|", "a|>"]),
        ("{{ messages | map(attribute='content') | join }}", ["x<|", "a|>"]),
        ("{{ messages[0].content ~ messages[1].content }}", ["x<|", "a|>"]),
        ("{{ messages[0].content + messages[1].content }}", ["x<|", "a|>"]),
        ("{{ messages[0].content | trim }}", ["  <|a|>  "]),
        ("{{ messages[0].content | upper }}", ["<|b|>"]),
        ("{{ messages[0].content.lower() }}", ["<|A|>"]),
        ("{{ messages[0].content | replace('(', '<') }}", ["(|a|>"]),
        ("{{ messages[0].content.replace('-', '') }}", ["<|-a|>"]),
        ("{{ messages[0].content[1:] }}", ["x<|a|>"]),
        ("{{ messages[0].content.split('</think>')[-1] }}", ["y</think><|a|>"]),
        ("{{ messages[0].content.split('</think>') | join }}", ["<|</think>a|>"]),
        ("{{ messages[0].content.split() | join('|') }}", ["< a >"]),
        ("{{ messages[0].content.partition('=')[2] }}", ["a=<|a|>"]),
        ("{{ messages[0].content | tojson }}", ["<|a|>"]),
        ("{{ messages[0] | tojson }}", ["<|a|>"]),
        ("{{ '%s' | format(messages[0].content) }}", ["<|a|>"]),
        ("{{ '<%s>' % messages[0].content }}", ["|a|"]),
        ("{{ '<{}>'.format(messages[0].content) }}", ["|a|"]),
        ("{{ messages[0].content | reverse }}", [">|a|<"]),
        ("{% for character in messages[0].content %}{{ character }}{% endfor %}", ["<|a|>"]),
        ("{% set text %}{{ messages[0].content }}{% endset %}{{ text }}", ["<|a|>"]),
        ("{% macro say(text) %}{{ text }}{% endmacro %}{{ say(messages[0].content) }}", ["<|a|>"]),
    ],
)
def test_no_operation_of_a_template_makes_a_mark_of_texts(template: str, contents: list[str]) -> None:
    tokenizer = small_tokenizer("{{ bos_token }}" + template)
    messages = [{"role": "user", "content": content} for content in contents]

    assert len(written(tokenizer, by_transformers(tokenizer, messages))) > 1  # a mark it would be

    assert written(tokenizer, ChatTemplate(tokenizer).encode(messages)) == ["<|a|>"]


def test_vocabulary_with_a_hole_loses_no_letter_beside_a_mark() -> None:
    """Pruned ones have holes: the ids of new tokens are counted from how many there are."""
    letters = {letter: number for number, letter in enumerate("aby <|>s")} | {"z": 10, "<s>": 12, "<|B|>": 13}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    with_marks = chat_tokenizer(tokenizer, "{{ messages[0].content }}", ["<s>", "<|B|>"], bos="<s>", eos="<|B|>")
    plain = [letters[letter] for letter in "zzz<s>zzz"]

    assert ChatTemplate(with_marks).encode([{"role": "user", "content": "zzz<s>zzz"}]) == plain


def test_thousands_of_added_tokens_are_searched_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    special = ["<|a|>", "<|B|>", *(f"<unused{number}>" for number in range(3_000))]
    tokenizer = chat_tokenizer(byte_level(), "{{ messages[0].content }}<|a|>", special, bos="<|a|>", eos="<|B|>")
    calls: list[int] = []

    class Counting:
        """Stands before a tokenizer, whose class takes no children."""

        def __init__(self, model: models.Model) -> None:
            object.__setattr__(self, "tokenizer", Tokenizer(model))

        def __getattr__(self, name: str) -> object:
            return getattr(self.tokenizer, name)

        def __setattr__(self, name: str, value: object) -> None:
            setattr(self.tokenizer, name, value)

        def add_tokens(self, tokens: list[AddedToken]) -> int:
            calls.append(len(tokens))
            return self.tokenizer.add_tokens(tokens)

    monkeypatch.setattr("handlers.template_marks.Tokenizer", Counting)
    template = ChatTemplate(tokenizer)

    assert len(calls) == 1
    assert written(tokenizer, template.encode([{"role": "user", "content": "<unused7>"}])) == ["<|a|>"]


def test_text_that_the_tokenizer_normalises_to_a_mark_is_none() -> None:
    special = ["<s>", "</s>", AddedToken("<|b|>", normalized=True, special=True)]
    template = "{{ messages[0].content }}<|b|>"
    tokenizer = chat_tokenizer(byte_level(form=normalizers.NFKC()), template, special, bos="<s>", eos="</s>")
    messages = [{"role": "user", "content": "x＜｜ｂ｜＞y"}]

    assert written(tokenizer, by_transformers(tokenizer, messages)) == ["<|b|>", "<|b|>"]
    assert written(tokenizer, ChatTemplate(tokenizer).encode(messages)) == ["<|b|>"]


@pytest.mark.parametrize("content", ["a <|B|> b", "<|B|>", "a\n<|B|>\n<|a|>"])
def test_mark_that_takes_the_white_space_beside_it_is_none_in_a_text(content: str) -> None:
    special = [AddedToken(mark, lstrip=True, rstrip=True, normalized=False) for mark in ("<|a|>", "<|B|>")]
    tokenizer = chat_tokenizer(byte_level(), EACH, special, bos="<|a|>", eos="<|B|>")
    messages = [{"role": "user", "content": content}]

    ids = ChatTemplate(tokenizer).encode(messages)

    assert written(tokenizer, ids) == ["<|a|>", "<|B|>"]
    assert tokenizer.decode(ids) == f"<|a|>{content}<|B|>"


@pytest.mark.parametrize("model", ["unigram", "words"])
def test_mark_that_the_model_itself_makes_of_plain_text_is_cut(model: str) -> None:
    if model == "unigram":
        pieces = [("<unk>", 0.0), ("</s>", 0.0), *((chr(code), -9.0) for code in range(32, 127))]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    else:
        tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "what": 2}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = "{{ messages[0].content }} </s>"
    made = chat_tokenizer(tokenizer, template, ["<unk>", "</s>"], bos="</s>", eos="</s>")
    messages = [{"role": "user", "content": "what </s> is"}]

    assert by_transformers(made, messages).count(1) == 2
    assert ChatTemplate(made).encode(messages).count(1) == 1


def test_characters_that_the_model_does_not_know_are_read_as_ever() -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "what": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = chat_tokenizer(tokenizer, "{{ messages[0].content }} </s>", ["<unk>", "</s>"], bos="</s>", eos="</s>")
    messages = [{"role": "user", "content": "what is é"}]

    assert ChatTemplate(made).encode(messages) == by_transformers(made, messages) == [2, 0, 0, 1]


def test_text_that_spells_what_marks_are_called_inside_is_refused() -> None:
    tokenizer = family_tokenizer("llama_3")
    messages = [{"role": "user", "content": f"<|eot_id|>{chr(0x10FFFF)}{chr(0xF0000)}"}]

    with pytest.raises(ChatTemplateError, match="cannot be told"):
        ChatTemplate(tokenizer).encode(messages)


def test_template_that_looks_for_marks_in_texts_goes_its_way() -> None:
    template = (
        "{% for message in messages %}{% if '<|B|>' in message.content %}<|a|>[{{ message.content.split('<|B|>')[1] }}]"
        "{% else %}{{ message.content }}{% endif %}{% endfor %}"
    )
    tokenizer = small_tokenizer(template)
    messages = [{"role": "user", "content": content} for content in ("plain", "x<|B|>y<|a|>z")]

    ids = ChatTemplate(tokenizer).encode(messages)

    assert tokenizer.decode(ids) == "plain<|a|>[y<|a|>z]"
    assert written(tokenizer, ids) == ["<|a|>"]


@pytest.mark.parametrize(("if_so", "if_not"), [("<|a|>", ""), ("", "<|a|>")])
def test_text_that_cannot_be_told_from_the_template_is_refused(if_so: str, if_not: str) -> None:
    # Jinja's title() takes a text apart with re, which sees the private characters: the template takes another way.
    asked = "{% if messages[0].content | title == 'Hello <|a|>' %}" + if_so + "{% else %}" + if_not + "{% endif %}"
    tokenizer = small_tokenizer(asked + "{{ messages[0].content }}")

    with pytest.raises(ChatTemplateError, match="cannot be told from the chat template's own"):
        ChatTemplate(tokenizer).encode([{"role": "user", "content": "hello <|a|>"}])


def test_ordinary_text_that_a_template_takes_apart_is_served() -> None:
    tokenizer = small_tokenizer("<|a|>{{ messages[0].content | title | int }}{{ messages[0].content | title }}<|B|>")
    messages = [{"role": "user", "content": "42"}]

    assert ChatTemplate(tokenizer).encode(messages) == by_transformers(tokenizer, messages)
