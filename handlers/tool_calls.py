"""Calls of functions in the text of an answer, which comes in pieces."""

import random
import string
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from adapter.tools import ToolCall, ToolCallDelta
from handlers.stop_strings import overlap
from handlers.tool_formats import ToolFormat

_ID_CHARACTERS = string.ascii_letters + string.digits
_FIRST_PLACEHOLDER = 0xDB00  # of code points that no text holds (surrogates), and StopStrings has others
_ID_LENGTH = 9  # exactly, for the templates of Mistral


class Read(NamedTuple):
    text: str
    deltas: list[ToolCallDelta]


class ToolCallReader:
    """Tells the calls of one answer from its text, which has this form, as its grammar sees to.

    Special tokens that calls are written with stand in the text as placeholders (`placeholder_of`), so that their names
    are no more than text where a model spells them.
    """

    def __init__(
        self,
        form: ToolFormat,
        names: Sequence[str],
        *,
        special_tokens: Iterable[str] = (),
        is_required: bool = False,
        chance: random.Random | None = None,
    ) -> None:
        """names: of the tools. is_required: whether the answer is nothing but calls. chance: makes their ids."""
        held = [token for token in special_tokens if form.holds(token)]
        self._placeholders = {token: chr(_FIRST_PLACEHOLDER + number) for number, token in enumerate(held)}
        self._form, self._names, self._is_required = form.with_placeholders(self._placeholders), names, is_required
        self._chance = chance or random.SystemRandom()
        self._calls: list[ToolCall] = []
        self._held = ""
        self._read = self._in_text
        self._arguments = _JsonObject()
        self._opening = ""  # of the call whose name is read

    def placeholder_of(self, special_token: str) -> str:
        """The placeholder to push for it; empty, unless calls are written with it."""
        return self._placeholders.get(special_token, "")

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls so far; the arguments of the last one may lack their end."""
        return tuple(self._calls)

    def push(self, piece: str) -> Read:
        """The text and the calls that can be sent now."""
        self._held += piece
        read = Read("", [])
        while (more := self._read()) is not None:
            read = Read(read.text + more.text, read.deltas + more.deltas)
        return read

    def flush(self) -> str:
        """Text that was held back, when no more follows."""
        held, self._held = self._held, ""
        is_text = self._read in (self._in_text, self._in_text_to_its_end)
        return held if is_text and not self._is_required else ""

    # Each method reads what it can of the held text, and sets the method for the rest; None if it needs more.

    def _in_text(self) -> Read | None:
        opening = self._form.trigger or self._form.opening
        before, found, _ = self._held.partition(opening)
        if found and (self._form.trigger or not before):
            self._read = self._in_opening
            return self._text(len(before)) or Read("", [])
        safe = len(self._held) - overlap(self._held, opening)
        if safe and not self._form.trigger:
            self._read = self._in_text_to_its_end
        return self._text(safe)

    def _in_text_to_its_end(self) -> Read | None:
        return self._text(len(self._held))

    def _text(self, length: int) -> Read | None:
        text, self._held = self._held[:length], self._held[length:]
        return Read(text, []) if text else None

    def _in_opening(self) -> Read | None:
        opening = self._form.opening
        if not (self._held.startswith(opening) or opening.startswith(self._held)):
            return self._back_to_text()
        return self._behind(opening)

    def _back_to_text(self) -> Read:
        """What began as a call is the text of an answer in JSON, or a mark that a model spelled in its words."""
        first, self._held = self._held[:1], self._held[1:]
        self._read = self._in_text if self._form.trigger else self._in_text_to_its_end
        return Read(first, [])

    def _in_name(self) -> Read | None:
        name, found, rest = self._held.partition(self._form.middle)
        if not found or name not in self._names:
            if any((each + self._form.middle).startswith(self._held) for each in self._names):
                return None
            self._held = self._opening + self._held
            return self._back_to_text()
        self._held = rest
        call = ToolCall(id="".join(self._chance.choices(_ID_CHARACTERS, k=_ID_LENGTH)), name=name, arguments="")
        self._calls.append(call)
        self._arguments = _JsonObject()
        self._read = self._in_arguments
        return Read("", [ToolCallDelta(index=len(self._calls) - 1, id=call.id, name=call.name, arguments="")])

    def _in_arguments(self) -> Read | None:
        if not self._held:
            return None
        end = self._arguments.end_in(self._held)
        piece, self._held = self._held[:end], self._held[end:]
        call = self._calls[-1]
        self._calls[-1] = call.model_copy(update={"arguments": call.arguments + piece})
        if self._arguments.is_whole:
            self._read = self._behind_call
        return Read("", [ToolCallDelta(index=len(self._calls) - 1, id=None, name=None, arguments=piece)])

    def _behind_call(self) -> Read | None:
        form = self._form
        return None if form.separator is None else self._behind(form.call_end + form.separator + form.call_begin)

    def _behind(self, expected: str) -> Read | None:
        """Goes on with a name behind this text."""
        if not self._held.startswith(expected):
            return None
        self._held = self._held.removeprefix(expected)
        self._opening = expected
        self._read = self._in_name
        return Read("", [])


def joined(deltas: Iterable[ToolCallDelta]) -> Iterator[ToolCallDelta]:
    """One delta for each call, of several in their order."""
    for _, group in groupby(deltas, key=lambda delta: delta.index):
        first, *rest = group
        yield first.model_copy(update={"arguments": first.arguments + "".join(each.arguments for each in rest)})


class _JsonObject:
    """Finds the end of an object in JSON that comes in pieces."""

    def __init__(self) -> None:
        self._depth, self._is_in_string, self._is_escaped = 0, False, False
        self.is_whole = False

    def end_in(self, piece: str) -> int:
        """Where it ends in this piece, which is the length of the piece if it does not."""
        for index, character in enumerate(piece):
            self._take(character)
            if self.is_whole:
                return index + 1
        return len(piece)

    def _take(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif character == '"':
            self._is_in_string = not self._is_in_string
        elif self._is_in_string:
            self._is_escaped = character == "\\"
        elif character in "{}":
            self._depth += 1 if character == "{" else -1
            self.is_whole = self._depth == 0
