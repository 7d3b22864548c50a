"""Which failures to compile may pass, told by what is said of them: a compiler's own are known by their words alone."""

import os
from errno import EDQUOT, ENOMEM, ENOSPC

# The first ones are the kernel's, g++'s and Python's.
_WORDS = (
    *("by signal", "Killed signal", "out of memory", "memory exhausted", "MemoryError"),
    *(os.strerror(number) for number in (EDQUOT, ENOMEM, ENOSPC)),
)


def may_pass(reason: str) -> bool:
    """Of no memory, no disk, or a signal: another time, or on another day, it may be made."""
    return any(words in reason for words in _WORDS)
