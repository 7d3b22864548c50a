"""Asks the handler's own code whether a worker could serve a model."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from adapter.archives.handler_process import HandlerProcessError, run_handler
from adapter.archives.model_source import ModelSourceError, served_files
from adapter.archives.recommended_sampling import GENERATION_CONFIG, unheeded_settings, unusable_recommendations
from adapter.probes import Probes

logger = logging.getLogger(__name__)


def check_model(directory: Path, config_file: Path, warn: Callable[[str], None] = logger.warning) -> Probes:
    """Loads the model once and records its probes. Raises ModelSourceError, which says why it cannot be served.

    `warn` gets each thing that the model's author should know although the model can be served.
    """
    with tempfile.TemporaryDirectory() as temporary:
        # A worker sees the files that are packed and no others: transformers would also read other chat templates, an
        # adapter's configuration, and whatever it may learn to read.
        packed = Path(temporary).resolve()
        for path in served_files(directory):
            (packed / path.name).symlink_to(path.resolve())
        try:
            output = run_handler("handlers.check_model", str(packed), str(config_file.resolve()))
        except HandlerProcessError as error:
            reason = str(error).replace(str(packed), str(directory))
            raise ModelSourceError(f"{directory} cannot be served: {reason}") from error
    for warning in (*output.warnings, *_recommendation_warnings(directory)):
        warn(warning)
    try:
        return Probes.from_bytes(output.printed)
    except ValueError as error:
        raise ModelSourceError(f"{directory} cannot be served: its check printed something else than probes") from error


def _recommendation_warnings(directory: Path) -> Iterator[str]:
    file = directory / GENERATION_CONFIG
    if not file.exists():
        return
    content = file.read_bytes()
    for each in unusable_recommendations(content):
        yield f"{GENERATION_CONFIG} recommends {each}, which no request can ask for: /v1 does without it"
    if unheeded := unheeded_settings(content):
        yield f"{GENERATION_CONFIG} sets {', '.join(unheeded)}, which generate() heeds and workers do not"
