"""Asks the handler's own code whether a worker could serve a model, in another process: the adapter has no torch."""

import subprocess
import sys
from pathlib import Path

from adapter.archives.archive import PROJECT
from adapter.archives.model_source import ModelSourceError
from adapter.probes import Probes


def check_model(directory: Path, config_file: Path) -> Probes:
    """Loads the model once and records its probes. Raises ModelSourceError, which says why it cannot be served."""
    command = [sys.executable, "-m", "handlers.check_model", str(directory.resolve()), str(config_file.resolve())]
    check = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)  # noqa: S603 - our own
    if check.returncode:
        lines = check.stderr.decode(errors="replace").strip().splitlines()
        raise ModelSourceError(f"{directory} cannot be served: {(lines or ['the check ended without a word'])[-1]}")
    try:
        return Probes.from_bytes(check.stdout)
    except ValueError as error:
        raise ModelSourceError(f"{directory} cannot be served: its check printed something else than probes") from error
