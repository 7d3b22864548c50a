"""Cuts a text that comes in pieces before the first stop string, wherever the pieces are cut."""

from collections.abc import Sequence


class StopStrings:
    """Holds back what may turn out to be the beginning of a stop string."""

    def __init__(self, stop_strings: Sequence[str]) -> None:
        self._stop_strings = stop_strings
        self._held = ""
        self.is_found = False

    def push(self, piece: str) -> str:
        """What can be given now. Once a stop string is found this is the last of it, and `is_found` is set."""
        text = self._held + piece
        found = [index for stop in self._stop_strings if (index := text.find(stop)) >= 0]
        if found:
            self.is_found, self._held = True, ""
            return text[: min(found)]
        safe = len(text) - max((overlap(text, stop) for stop in self._stop_strings), default=0)
        self._held = text[safe:]
        return text[:safe]

    def flush(self) -> str:
        """What was held back, when no text follows."""
        held, self._held = self._held, ""
        return held


def overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if stop.startswith(text[-size:])), 0)
