"""Asks the handler's own code whether a worker could serve a model, in another process: the adapter has no torch."""

import subprocess
import sys
from pathlib import Path

from adapter.archives.archive import PROJECT
from adapter.archives.model_source import ModelSourceError


def check_model(directory: Path, config_file: Path) -> None:
    """Loads the model once, which takes as long as a worker's start. Raises ModelSourceError, which says why not."""
    command = [sys.executable, "-m", "handlers.check_model", str(directory.resolve()), str(config_file.resolve())]
    check = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if check.returncode:
        reason = (check.stderr.strip().splitlines() or ["the check ended without a word"])[-1]
        raise ModelSourceError(f"{directory} cannot be served: {reason}")
