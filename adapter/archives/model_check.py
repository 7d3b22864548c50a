"""Asks the handler's own code whether a worker could serve a model."""

from pathlib import Path

from adapter.archives.handler_process import HandlerProcessError, run_handler
from adapter.archives.model_source import ModelSourceError
from adapter.probes import Probes


def check_model(directory: Path, config_file: Path) -> Probes:
    """Loads the model once and records its probes. Raises ModelSourceError, which says why it cannot be served."""
    try:
        printed = run_handler("handlers.check_model", str(directory.resolve()), str(config_file.resolve()))
    except HandlerProcessError as error:
        raise ModelSourceError(f"{directory} cannot be served: {error}") from error
    try:
        return Probes.from_bytes(printed)
    except ValueError as error:
        raise ModelSourceError(f"{directory} cannot be served: its check printed something else than probes") from error
