"""Bounds the file into which TorchServe prints: what it logs rotates by itself (log4j2.xml), this does not."""

import contextlib
import os
import shutil
from pathlib import Path

MAX_BYTES = 20 * 2**20  # as log4j2.xml has it


def rotate(output: Path, max_bytes: int = MAX_BYTES) -> None:
    """Empties the file when it is longer; what it held is beside it then, as NAME.1.

    Its writer must append (O_APPEND): others would go on where they were, and leave a hole before. Text that is
    printed between the copy and the emptying is lost, as with logrotate's copytruncate.

    It raises nothing: a file that somebody has deleted, or cannot write to, is no reason for its writer to end.
    """
    with contextlib.suppress(OSError):
        if output.stat().st_size > max_bytes:
            _empty(output)


def _empty(output: Path) -> None:
    with contextlib.suppress(OSError):  # a full disk is a reason to empty it all the more
        shutil.copyfile(output, output.with_name(f"{output.name}.1"))
    os.truncate(output, 0)
