import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers import callers_text
from handlers.callers_text import Alphabet, TooManyCharactersError, is_callers

TEXTS = st.text('ab<|> \n"\\Aß＜\U000f0000')
OPERATIONS: dict[str, Callable[[str], Any]] = {
    "strip": lambda text: text.strip(),
    "strip characters": lambda text: text.strip("a<"),
    "rstrip": lambda text: text.rstrip("\n"),
    "lstrip": lambda text: text.lstrip("\n"),
    "split": lambda text: text.split("<|"),
    "split once": lambda text: text.split("a", 1),
    "split at white space": lambda text: text.split(),
    "rsplit": lambda text: text.rsplit("aa", 1),
    "rsplit at white space": lambda text: text.rsplit(None, 1),
    "splitlines": lambda text: text.splitlines(),
    "partition": lambda text: text.partition("|>"),
    "rpartition": lambda text: text.rpartition("a"),
    "replace": lambda text: text.replace("ab", "<"),
    "replace nothing": lambda text: text.replace("", "-"),
    "replace by itself": lambda text: text.replace("a", text),
    "removeprefix": lambda text: text.removeprefix("a"),
    "removesuffix": lambda text: text.removesuffix("<"),
    "upper": lambda text: text.upper(),
    "title": lambda text: text.title(),
    "casefold": lambda text: text.casefold(),
    "slice": lambda text: text[1:-1],
    "reverse": lambda text: text[::-1],
    "add": lambda text: text + "<|" + text,
    "add before": lambda text: "<|" + text,
    "multiply": lambda text: text * 2,
    "join": lambda text: text.join(["a", text]),
    "characters": list,
    "contains": lambda text: "<|" in text,
    "contains itself": lambda text: text[1:] in text,
    "is in a list": lambda text: text in ["a", "b", ""],
    "equal": lambda text: (text == "a", text != "a", text < "b", text == text[:1]),
    "starts": lambda text: (text.startswith(("a", "<")), text.endswith(text[-1:])),
    "find": lambda text: (text.find("|"), text.rfind("a"), text.count("a")),
    "length": len,
    "kind": lambda text: (text.isspace(), text.isalpha(), text.isascii(), text.isupper()),
    "of a mixed text": lambda text: ("<|ab" + text + "|>").replace("b|", "-").split("a"),
    "key": {"a": 1}.get,
    "json": lambda text: json.dumps({"text": text, text: 1}, ensure_ascii=False),
}


def revealed(value: Any, alphabet: Alphabet) -> Any:
    if isinstance(value, str):
        return alphabet.reveal(str.__str__(value))
    return type(value)(revealed(item, alphabet) for item in value) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@given(text=TEXTS)
@settings(max_examples=50)
def test_operation_gives_what_it_gives_of_the_true_text(operation: Callable[[str], Any], text: str) -> None:
    alphabet = Alphabet()

    assert revealed(operation(alphabet.text(text)), alphabet) == operation(text)


@given(text=TEXTS, mark=st.sampled_from(["<", "a", "<|", "|>"]))
@settings(max_examples=50)
def test_each_character_is_known_to_be_a_callers_or_the_templates(text: str, mark: str) -> None:
    hidden = mark + Alphabet().text(text) + mark

    assert not is_callers(hidden[: len(mark)])
    assert all(is_callers(character) or character in ' \n"\\' for character in hidden[len(mark) : -len(mark)])


def test_replaced_text_is_the_templates_and_what_is_left_the_callers() -> None:
    changed = Alphabet().text("a(b").replace("(", "<")

    assert [is_callers(character) for character in changed] == [True, False, True]


def test_case_of_a_mixed_text_changes_without_its_author() -> None:
    changed = ("x" + Alphabet().text("y")).upper()

    assert [is_callers(character) for character in changed] == [False, True]


def test_keys_and_values_of_any_depth_are_texts() -> None:
    alphabet = Alphabet()
    hidden = alphabet.hide({"a": [{"b": "c"}, 1, None, True]})

    assert hidden["a"][0]["b"] == "c"
    assert all(is_callers(key) for key in hidden)
    assert is_callers(hidden["a"][0]["b"])
    assert hidden["a"][1:] == [1, None, True]


def test_more_characters_than_there_are_stand_ins_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers_text, "_LAST_STAND_IN", callers_text._FIRST_STAND_IN + 1)

    assert Alphabet().text("abab") == "abab"
    with pytest.raises(TooManyCharactersError):
        Alphabet().text("abc")
