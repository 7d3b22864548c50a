"""Callers' text on its way through a chat template, in characters of its own, so that it is known in the result.

Each character of a caller stands as a private one in the text that the template handles: whatever the template cuts,
joins and prints of it can be told from what it wrote itself. What it asks of such a text it asks of the true one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, SupportsIndex

# Private use planes. Each conversation has an alphabet of its own, so a caller's private characters clash with nothing.
_FIRST_STAND_IN, _LAST_STAND_IN = 0xF0000, 0x10FFFF
# These stand as they are: templates strip white space, and JSON escapes the others. No mark is made of them alone.
_JSON_ESCAPES = {'"', "\\", *map(chr, range(32))}


def stands_as_it_is(character: str) -> bool:
    return character.isspace() or character in _JSON_ESCAPES


class TooManyCharactersError(ValueError):
    """There are more different characters than private ones: no language has so many."""


class Alphabet:
    """Stand-ins for the characters of one conversation."""

    def __init__(self) -> None:
        self._stand_ins: dict[int, int] = {}
        self._characters: dict[int, int] = {}

    def hide(self, value: Any) -> Any:
        """`value`, of JSON's types, with each of its strings, the keys of objects too, as a CallersText."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        return [self.hide(item) for item in value] if isinstance(value, list | tuple) else value

    def text(self, plain: str) -> "CallersText":
        for character in set(plain):
            if ord(character) not in self._stand_ins and not stands_as_it_is(character):
                self._add(character)
        return CallersText(plain.translate(self._stand_ins), self)

    def reveal(self, text: str) -> str:
        """The same text in true characters, each in its place."""
        return text.translate(self._characters)

    def _add(self, character: str) -> None:
        stand_in = _FIRST_STAND_IN + len(self._stand_ins)
        if stand_in > _LAST_STAND_IN:
            raise TooManyCharactersError("a text has more different characters than there are private ones")
        self._stand_ins[ord(character)] = stand_in
        self._characters[stand_in] = ord(character)


def is_callers(text: str) -> bool:
    """Whether any character of a text in stand-ins is a caller's."""
    return max(str.__iter__(text), default="") >= chr(_FIRST_STAND_IN)


class CallersText(str):
    """Text in stand-ins that looks to a template like the true one. It may hold text of the template besides.

    A method of str that is not answered here answers in stand-ins: the text stays known, but the template may take
    another way than with the true text. So whoever renders compares both.
    """

    __slots__ = ("_alphabet", "_revealed")

    _alphabet: Alphabet
    _revealed: str | None

    def __new__(cls, stand_ins: str, alphabet: Alphabet) -> Self:
        text = super().__new__(cls, stand_ins)
        text._alphabet, text._revealed = alphabet, None
        return text

    @property
    def _plain(self) -> str:
        if self._revealed is None:
            self._revealed = self._alphabet.reveal(str.__str__(self))
        return self._revealed

    def _of(self, stand_ins: str) -> "CallersText":
        return CallersText(stand_ins, self._alphabet)

    def _between(self, begin: int, end: int) -> "CallersText":
        return self._of(str.__getitem__(self, slice(begin, end)))

    def __str__(self) -> str:
        return self  # str() of it, which Jinja's filters begin with, would be of str alone

    def __hash__(self) -> int:
        return hash(self._plain)

    def __iter__(self) -> Iterator[str]:
        return map(self._of, str.__iter__(self))

    def __getitem__(self, key: SupportsIndex | slice) -> "CallersText":
        return self._of(str.__getitem__(self, key))

    def __add__(self, other: str) -> "CallersText":
        return self._of(str.__add__(self, other))

    def __radd__(self, other: str) -> "CallersText":
        return self._of(str.__add__(other, self))

    def __mul__(self, count: SupportsIndex) -> "CallersText":
        return self._of(str.__mul__(self, count))

    __rmul__ = __mul__

    def join(self, texts: Iterable[str]) -> "CallersText":
        return self._of(str.join(self, texts))

    def strip(self, characters: str | None = None) -> "CallersText":
        return self.lstrip(characters).rstrip(characters)

    def lstrip(self, characters: str | None = None) -> "CallersText":
        return self._between(len(self) - len(self._plain.lstrip(_true(characters))), len(self))

    def rstrip(self, characters: str | None = None) -> "CallersText":
        return self._between(0, len(self._plain.rstrip(_true(characters))))

    def removeprefix(self, prefix: str) -> "CallersText":
        return self._between(len(self) - len(self._plain.removeprefix(_true(prefix))), len(self))

    def removesuffix(self, suffix: str) -> "CallersText":
        return self._between(0, len(self._plain.removesuffix(_true(suffix))))

    def split(self, separator: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        if separator is None:  # white space stands as it is
            return list(map(self._of, str.split(self, None, maxsplit)))
        return self._cut(self._plain.split(_true(separator), maxsplit), len(separator))

    def rsplit(self, separator: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        if separator is None:
            return list(map(self._of, str.rsplit(self, None, maxsplit)))
        return self._cut(self._plain.rsplit(_true(separator), maxsplit), len(separator))

    def splitlines(self, keepends: bool = False) -> list[str]:
        return list(map(self._of, str.splitlines(self, keepends)))

    def partition(self, separator: str) -> tuple[str, str, str]:
        before, found, after = self._cut(self._plain.partition(_true(separator)))
        return before, found, after

    def rpartition(self, separator: str) -> tuple[str, str, str]:
        before, found, after = self._cut(self._plain.rpartition(_true(separator)))
        return before, found, after

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> "CallersText":
        if not old:
            return self._of(str.replace(self, old, new, count))
        return self._of(str.join(new, self.split(old, count)))

    def _cut(self, pieces: Iterable[str], gap: int = 0) -> list[str]:
        """The text where `pieces` of the true one are, which have `gap` characters between them."""
        cut: list[str] = []
        begin = 0
        for piece in pieces:
            cut.append(self._between(begin, begin + len(piece)))
            begin += len(piece) + gap
        return cut

    def _changed(self, change: Callable[[str], str]) -> "CallersText":
        """Of another case: a character is whose it was before, and all are the caller's where their number changes."""
        changed = change(self._plain)
        hidden = self._alphabet.text(changed)
        if len(changed) != len(self):
            return hidden
        sources = zip(str.__iter__(self), str.__iter__(hidden), changed, strict=True)
        return self._of("".join(new if is_callers(old) else true for old, new, true in sources))


def _asking(name: str) -> Callable[..., Any]:
    asked = getattr(str, name)

    def method(self: CallersText, *arguments: object) -> object:
        return asked(self._plain, *(_true(argument) for argument in arguments))

    return method


def _changing(name: str) -> Callable[[CallersText], CallersText]:
    change = getattr(str, name)

    def method(self: CallersText) -> CallersText:
        return self._changed(change)

    return method


def _true(argument: Any) -> Any:
    if isinstance(argument, tuple):  # startswith() takes several
        return tuple(map(_true, argument))
    return argument._plain if isinstance(argument, CallersText) else argument  # noqa: SLF001 - this module's


_QUESTIONS = (
    *("__contains__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
    *("startswith", "endswith", "find", "rfind", "index", "rindex", "count"),
    *("isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable"),
    *("isspace", "istitle", "isupper"),
)
for _name in _QUESTIONS:
    setattr(CallersText, _name, _asking(_name))
for _name in ("capitalize", "casefold", "lower", "swapcase", "title", "upper"):
    setattr(CallersText, _name, _changing(_name))
