"""Cuts a text that comes in pieces before the first stop string, wherever the pieces are cut."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

_NO_TOKENS: Mapping[int, str] = MappingProxyType({})
_FIRST_PLACEHOLDER = 0xD800  # of the 2,048 code points that no text holds (surrogates)


class StopStrings:
    """Holds back what may turn out to be the beginning of a stop string.

    A stop string may be a special token, as "<|im_end|>", or hold some, although no piece shows them: the text is
    searched with a placeholder for each, which is never given. A special token only matches as a whole, so "end"
    does not match "<|im_end|>". A stop string also matches where the model spells its special tokens in ordinary ones.
    """

    def __init__(self, stop_strings: Sequence[str], special_tokens: Mapping[int, str] = _NO_TOKENS) -> None:
        """`special_tokens`: by their ids."""
        pattern = _pattern([token for token in special_tokens.values() if any(token in stop for stop in stop_strings)])
        named = dict.fromkeys(token for stop in stop_strings for token in pattern.findall(stop))
        placeholder_of = {token: chr(_FIRST_PLACEHOLDER + number) for number, token in enumerate(named)}
        self._placeholders = {
            token_id: placeholder_of[token] for token_id, token in special_tokens.items() if token in placeholder_of
        }
        self._without_placeholders = str.maketrans(dict.fromkeys(self._placeholders.values()))
        in_placeholders = (pattern.sub(lambda token: placeholder_of[token[0]], stop) for stop in stop_strings)
        self._stop_strings = tuple(dict.fromkeys([*stop_strings, *in_placeholders]))
        self._held = ""
        self.is_found = False

    def placeholder_of(self, token_id: int) -> str:
        """What to push for this token: nothing, unless it is a special token that a stop string holds."""
        return self._placeholders.get(token_id, "")

    def push(self, piece: str) -> str:
        """What can be given now. Once a stop string is found this is the last of it, and `is_found` is set."""
        text = self._held + piece
        found = [index for stop in self._stop_strings if (index := text.find(stop)) >= 0]
        if found:
            self.is_found, self._held = True, ""
            return self._shown(text[: min(found)])
        safe = len(text) - max((overlap(text, stop) for stop in self._stop_strings), default=0)
        self._held = text[safe:]
        return self._shown(text[:safe])

    def flush(self) -> str:
        """What was held back, when no text follows."""
        held, self._held = self._held, ""
        return self._shown(held)

    def _shown(self, text: str) -> str:
        return text.translate(self._without_placeholders) if self._placeholders else text


def overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    begin = text.find(stop[0], max(0, len(text) - len(stop) + 1))
    while begin >= 0 and not stop.startswith(text[begin:]):
        begin = text.find(stop[0], begin + 1)
    return len(text) - begin if begin >= 0 else 0


def _pattern(tokens: Sequence[str]) -> re.Pattern[str]:
    """Finds the longest of the tokens at each place, as tokenizers do."""
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")  # without any, what matches nowhere
