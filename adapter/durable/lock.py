"""A lock between processes. It ends with the one that holds it, however that ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapter.durable.private_directory import open_private


@contextmanager
def exclusive(path: Path, is_taken: Exception) -> Iterator[None]:
    """Makes the file, and leaves it. Raises `is_taken` where another one holds it, also in this process."""
    with open(path, "a", encoding="utf-8", opener=open_private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise is_taken from None
        yield


def is_held(path: Path) -> bool:
    """Whether another one holds it, also in this process. Who would take it in the same instant is refused."""
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none
        return False
    return False
