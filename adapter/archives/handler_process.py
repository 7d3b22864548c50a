"""Runs a command of the handler's code in another process: the adapter has no torch."""

import subprocess
import sys

from adapter.archives.archive import PROJECT


class HandlerProcessError(RuntimeError):
    """The command failed, and the message is its last line."""


def run_handler(module: str, *arguments: str) -> bytes:
    """What `python -m module` prints. Raises HandlerProcessError."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)  # noqa: S603 - our own
    if process.returncode:
        lines = process.stderr.decode(errors="replace").strip().splitlines()
        raise HandlerProcessError((lines or ["it ended without a word"])[-1])
    return process.stdout
