"""Files and batches as the settings describe them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import NamedTuple

from fastapi import APIRouter

from adapter.batches.batch_routes import batch_routes
from adapter.batches.batches import Batches
from adapter.batches.directory import BatchDirectory
from adapter.batches.endpoints import Endpoints
from adapter.batches.file_routes import FILES_PATH, file_routes
from adapter.generation.text_generator import TextGenerator
from adapter.http.limited_body import BodyLimit
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry

_REST_OF_A_FORM = 64 * 2**10  # bytes beside its file


class BatchApi(NamedTuple):
    """running: batches run while it is open. upload_limits: for the paths that take more than others."""

    running: AbstractAsyncContextManager[object]
    routers: tuple[APIRouter, ...] = ()
    upload_limits: Mapping[str, BodyLimit] = {}


def batch_api(settings: Settings, generator: TextGenerator, registry: ModelRegistry) -> BatchApi:
    """Without a directory it has no routes."""
    if settings.batch_directory is None:
        return BatchApi(nullcontext())
    batches = Batches(
        BatchDirectory(settings.batch_directory),
        Endpoints(generator, registry, settings.max_batch_requests),
        max_running=settings.batch_max_running,
        max_line_bytes=settings.max_body_bytes,
        max_lines=settings.batch_max_lines,
        max_age=settings.batch_max_age,
    )
    max_bytes = settings.batch_max_file_bytes
    files = file_routes(batches, max_bytes=max_bytes, max_age=settings.batch_max_age)
    limit = BodyLimit(max_bytes + _REST_OF_A_FORM, settings.request_timeout)
    return BatchApi(batches, (files, batch_routes(batches)), {FILES_PATH: limit})
