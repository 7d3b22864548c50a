"""Runs a command of the handler's code in another process: the adapter has no torch."""

import os
import subprocess
import sys
from dataclasses import dataclass

from adapter.archives.worker_environment import worker_environment
from adapter.installation import CODE

_WARNING = "warning: "


class HandlerProcessError(RuntimeError):
    """The command failed, and the message is its last line."""


@dataclass(frozen=True, slots=True)
class HandlerOutput:
    printed: bytes
    warnings: list[str]


def run_handler(module: str, *arguments: str) -> HandlerOutput:
    """The output of `python -m module`, and its warnings on standard error. Raises HandlerProcessError."""
    command = [sys.executable, "-m", module, *arguments]
    environment = worker_environment(os.environ) | {"HF_HUB_OFFLINE": "1"}  # as for a worker
    process = subprocess.run(command, cwd=CODE, env=environment, capture_output=True, check=False)  # noqa: S603 - our own
    lines = process.stderr.decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise HandlerProcessError((lines or ["it ended without a word"])[-1])
    # A check loads the model twice, and so repeats the warnings about its files.
    warnings = dict.fromkeys(line.removeprefix(_WARNING) for line in lines if line.startswith(_WARNING))
    return HandlerOutput(process.stdout, list(warnings))
