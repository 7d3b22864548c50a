"""Which requests a gateway has stopped, for an engine that asks before each step."""

import logging
import os
from collections.abc import Callable, Collection
from pathlib import Path

from adapter.compilation import COMPILATIONS_VARIABLE
from adapter.stop_pipe import StopPipe

logger = logging.getLogger(__name__)

TakeStops = Callable[[], Collection[str]]


def no_stops() -> Collection[str]:
    """For a worker that TorchServe alone tells of them, in its next call."""
    return ()


def stops_of_gateways(model: str) -> TakeStops:
    """Opens the worker's pipe, if it was said where."""
    if (directory := os.environ.get(COMPILATIONS_VARIABLE)) is None:
        return no_stops
    try:
        return StopPipe(Path(directory), model).take
    except OSError as error:
        logger.warning("torchbridge: a stop takes some steps longer, as there is no pipe for it: %s", error)
        return no_stops
