"""Tells transient failures of a compilation from lasting ones by their words: of a compiler's nothing else is known."""

import os
from errno import EDQUOT, ENOMEM, ENOSPC

# The first ones are the kernel's, g++'s and Python's.
_WORDS = (
    *("by signal", "Killed signal", "out of memory", "memory exhausted", "MemoryError"),
    *(os.strerror(number) for number in (EDQUOT, ENOMEM, ENOSPC)),
)


def is_transient(reason: str) -> bool:
    """Whether the reason is memory, a disk or a signal: another time the steps may be made."""
    return any(words in reason for words in _WORDS)
