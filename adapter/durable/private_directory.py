"""Directories that belong to one user: files in them are run, or give access."""

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NotPrivate(RuntimeError):
    """Somebody else may have put things into the directory; the message says who and what to do."""


def claim_directory(path: Path) -> None:
    """Makes the directory with mode 0700, or takes from others the right to look into it. Raises NotPrivate.

    One that others could write is refused and not mended: nobody knows what they have left there. PostgreSQL, whose
    commands write nothing into a data directory that others can read, refuses that too; here older releases made them.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(path)
    status = path.stat()
    if status.st_mode & _OTHERS:
        path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)


def check_private(path: Path) -> None:
    """Changes nothing. Raises NotPrivate where somebody else may have put things into the directory."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise NotPrivate(
            f"{path} belongs to another user (number {status.st_uid}; this is {os.geteuid()}): "
            "run torchbridge as that user, or choose another one with --run-directory."
        )
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise NotPrivate(
            f"Other users may write {path}, and what is in it is run: look through it, then chmod 700 it, "
            "or choose another one with --run-directory."
        )


def open_private(path: str | Path, flags: int) -> int:
    """An opener for open(): a new file is its user's alone, whatever the umask is."""
    return os.open(path, flags, 0o600)
