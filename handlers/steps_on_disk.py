"""Keeps compiled steps on the disk: those of the shapes that were served last."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

MOST_KEPT = 16  # directories, of up to fifteen megabytes each


def note_use(directory: Path) -> None:
    """Sets its time of change, which is all that is looked at. Not everybody who may read it may set it."""
    with suppress(OSError):
        os.utime(directory)


def keep(written: Path, target: Path) -> None:
    """Moves whole steps to their place, and removes those that were not used for longest. Others may do so, too.

    A worker that runs with what is removed has it open, and goes on.
    """
    for file in written.iterdir():
        _wait_for_disk(file)
    _wait_for_disk(written)  # so that none of their names is missing, either
    note_use(written)
    try:
        written.replace(target)
    except OSError:
        if not target.exists():  # made by another process meanwhile
            raise
    kept = sorted(_all_kept(target.parent), key=_used_at, reverse=True)
    for directory in kept[MOST_KEPT:]:
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for_disk(path: Path) -> None:
    """Writes all to the disk: a loss of power must not leave a library's name without its bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _all_kept(compiled_steps: Path) -> list[Path]:
    """The directories of steps, without those that are being made (a dot before the name) or are somebody else's."""
    return [
        each for each in compiled_steps.iterdir() if not each.name.startswith(".") and (each / "one_row.so").is_file()
    ]


def _used_at(directory: Path) -> float:
    try:
        return directory.stat().st_mtime
    except OSError:  # removed by another process
        return 0
