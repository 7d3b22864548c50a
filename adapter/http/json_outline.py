"""Counts what a JSON body has outside of its strings, before anything is made of it.

A reader makes Python's objects under the interpreter's lock, in one go, and no thread helps: the event loop waits. So
a body is bounded before it is read, by counts that can be taken slice by slice.
"""

from itertools import accumulate

from adapter.errors import InvalidRequest
from adapter.schema import FieldError

_MAX_DEPTH = 32
_MAX_VALUES = 20_000
_MAX_STRINGS = 2 * _MAX_VALUES  # each value may have a name
_MAX_DIGITS = 20 * _MAX_VALUES  # in all: a number's time grows with the square of them
_BLANKS = b" \t\r\n"
_STEP = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")  # up and down, as signed bytes
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))


class JsonOutline:
    """The counts of a body that comes in slices. After the first fault they may be wrong: there a reader stops."""

    def __init__(self) -> None:
        self._is_in_string = False
        self._rest = b""  # a backslash whose other half is in the next slice
        self._opening = b""  # a bracket that the next slice may close
        self._depth = self._num_quotes = self._num_values = self._num_digits = 0

    def add(self, piece: bytes) -> None:
        """Raises InvalidRequest as soon as the body is beyond a limit."""
        outside = self._outside_of_strings(piece)
        self._follow(outside.translate(_STEP, _NO_BRACKETS))
        self._count(outside)

    def _outside_of_strings(self, piece: bytes) -> bytes:
        """The piece with one quote for each string, and without blanks."""
        piece = (self._rest + piece).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._rest = b"\\" if piece.endswith(b"\\") else b""
        num_quotes = piece.count(b'"')
        self._num_quotes += num_quotes
        if self._num_quotes > 2 * _MAX_STRINGS:
            raise _too_many_values()
        parts = piece.split(b'"')[self._is_in_string :: 2]
        self._is_in_string ^= bool(num_quotes % 2)
        return b'"'.join([*parts, b""] if self._is_in_string else parts).translate(None, _BLANKS)

    def _follow(self, steps: bytes) -> None:
        depths = list(accumulate(memoryview(steps).cast("b"), initial=self._depth))
        self._depth = depths[-1]
        if max(depths) > _MAX_DEPTH:
            raise too_deep()

    def _count(self, outside: bytes) -> None:
        """A value is the first one, or comes after a comma, or is the first one in brackets."""
        self._num_values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        outside = self._opening + outside
        self._opening = outside[-1:] if outside[-1:] in b"[{" else b""
        self._num_values -= outside.count(b"[]") + outside.count(b"{}")
        if self._num_values + 1 > _MAX_VALUES:
            raise _too_many_values()
        self._num_digits += len(outside.translate(None, _NO_DIGITS))
        if self._num_digits > _MAX_DIGITS:
            raise beyond_limits(f"has more than {_MAX_DIGITS} digits in its numbers")


def too_deep() -> InvalidRequest:
    return beyond_limits(f"is nested deeper than {_MAX_DEPTH} levels")


def beyond_limits(fault: str) -> InvalidRequest:
    return InvalidRequest(f"The body {fault}.", errors=(FieldError(field="body", message=fault),))


def _too_many_values() -> InvalidRequest:
    return beyond_limits(f"has more than {_MAX_VALUES} values")
