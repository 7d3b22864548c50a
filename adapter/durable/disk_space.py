"""Checks before a write that there is space, and says the same if a disk turns out to be full."""

import errno
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.filesize import decimal

_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFull(OSError):
    """Less space is left than something takes. The message says where, and how much is free."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOSPC, message)

    def __str__(self) -> str:
        return self.strerror or ""


def is_full_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _FULL


def expect_space(what: str, *needs: tuple[Path, int]) -> None:
    """`needs`: directories, which may not be there yet, and the bytes that go there; on one file system they add up.

    Raises DiskFull. A quota is not seen here: it shows when it is met.
    """
    places: dict[int, Path] = {}
    totals: defaultdict[int, int] = defaultdict(int)
    for directory, num_bytes in needs:
        place = nearest_existing(directory)
        device = place.stat().st_dev
        places.setdefault(device, place)
        totals[device] += num_bytes
    for device, place in places.items():
        if totals[device] > shutil.disk_usage(place).free:
            raise _disk_full(what, decimal(totals[device]), place)


@contextmanager
def full_disk_in_words(what: str, directory: Path) -> Iterator[None]:
    """Raises DiskFull in place of the system's error, which names neither. `what`: is to be written there."""
    try:
        yield
    except DiskFull:
        raise
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise _disk_full(what, "more space", nearest_existing(directory)) from error


def expect_not_full(what: str, directory: Path, words: str) -> None:
    """Raises DiskFull if another program's `words` are the system's for a full disk."""
    if any(os.strerror(number) in words for number in _FULL):
        raise _disk_full(what, "more space", nearest_existing(directory))


def _disk_full(what: str, needed: str, place: Path) -> DiskFull:
    return DiskFull(f"{what} needs {needed} in {place}, {decimal(shutil.disk_usage(place).free)} are free.")


def nearest_existing(directory: Path) -> Path:
    """The directory itself, or the first one above it that is there."""
    return next(each for each in (directory, *directory.absolute().parents) if each.exists())
