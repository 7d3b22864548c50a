"""Limits of what a chat template makes with one operation, looked at before it is done: nothing can end it."""

import re
from collections.abc import Sequence
from typing import Any

MOST_CHARACTERS = 16_000_000  # of one text, and entries of one list: four times what a request may hold
_LARGEST_WIDTH = 100_000
# The filters, methods and operators whose result is as long as a number says.
_WITH_WIDTH = frozenset(
    {"%", "batch", "center", "format", "indent", "ljust", "rjust", "round", "slice", "tojson", "wordwrap", "zfill"}
)
_MOST_BITS = 10_000  # of a number
_LARGE_WIDTH = re.compile(r"\d{6}|\*")


class TemplateLimitError(ValueError):
    """A template does more than any chat needs."""


def check_size(num_characters: int) -> None:
    """Raises TemplateLimitError."""
    if num_characters > MOST_CHARACTERS:
        raise TemplateLimitError("it makes too long a text")


def size_of(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 0


def check_operands(operation: str, operands: Sequence[Any]) -> None:
    """Raises TemplateLimitError where a function, filter or operator would make something immense of its operands."""
    numbers = [each for each in operands if isinstance(each, int)]
    largest = max(map(abs, numbers), default=0)
    match operation:
        case "*" if len(numbers) < len(operands):
            check_size(sum(map(size_of, operands)) * largest)
        case "*":
            _check_bits(sum(each.bit_length() for each in numbers))
        case "**":
            _check_bits(largest.bit_length() * largest)
        case "concatenate":
            check_size(sum(map(size_of, operands)))
        case _ if operation in _WITH_WIDTH and largest > _LARGEST_WIDTH:
            raise TemplateLimitError("it asks for too large a width")
        case "%" | "format" | "format_map":
            _check_format(operands)
        case "join":
            _check_join(operands)
        case "replace" | "indent" | "wordwrap":
            _check_replacement([each for each in operands if isinstance(each, str)])


def _check_format(operands: Sequence[Any]) -> None:
    form, *values = operands
    if isinstance(form, str):
        if _LARGE_WIDTH.search(form):
            raise TemplateLimitError("it asks for too large a width")
        sizes = [size for value in values for size in _sizes(value)]
        check_size(len(form) + (form.count("%") + form.count("{")) * max(sizes, default=0))


def _check_join(operands: Sequence[Any]) -> None:
    separator = max((len(each) for each in operands if isinstance(each, str)), default=0)
    parts = [part for each in operands if isinstance(each, list | tuple) for part in each]
    check_size(sum(separator + sum(_sizes(part)) for part in parts))


def _check_replacement(texts: Sequence[str]) -> None:
    match texts:
        case [text, old, new]:
            check_size(len(text) + text.count(old) * len(new))
        case [text, new]:  # at each line
            check_size(len(text) + len(text.splitlines()) * len(new))


def _sizes(value: object) -> list[int]:
    """The sizes of an object's members, of which an operation may take one."""
    return list(map(size_of, value.values())) if isinstance(value, dict) else [size_of(value)]


def _check_bits(num_bits: int) -> None:
    if num_bits > _MOST_BITS:
        raise TemplateLimitError("it computes with too large a number")
