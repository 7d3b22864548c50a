"""Routes for the gateway's operator: does it live, can it answer, what has it done?"""

from typing import Any

from fastapi import APIRouter, Response

from adapter.errors import TorchbridgeError
from adapter.generation.metrics import CONTENT_TYPE
from adapter.generation.text_generator import TextGenerator
from adapter.http.documented_api import NEEDS_OPERATOR_KEY
from adapter.http.shutdown import Shutdown
from adapter.schema import Health
from adapter.torchserve.readiness import Readiness

_NO_KEY: dict[str, Any] = {"security": []}


class MetricsResponse(Response):
    media_type = CONTENT_TYPE


def operator_routes(generator: TextGenerator, readiness: Readiness, shutdown: Shutdown) -> APIRouter:
    router = APIRouter()

    @router.get("/livez", operation_id="livez", summary="Is the gateway running?", openapi_extra=_NO_KEY)
    async def livez() -> Health:
        return Health()

    @router.get("/health", include_in_schema=False)  # its name in vLLM and TGI, and so in the tools made for them
    @router.get("/readyz", operation_id="readyz", summary="Can the default model answer?", openapi_extra=_NO_KEY)
    async def readyz() -> Health:
        shutdown.check()
        try:
            await readiness.check()
        except TorchbridgeError as error:
            # The caller has no key, and so may not know the models' names.
            raise type(error)("The default model cannot answer.", cause=error.with_cause) from error
        return Health()

    @router.get(
        "/metrics",
        operation_id="metrics",
        summary="What Prometheus reads",
        response_class=MetricsResponse,
        openapi_extra=NEEDS_OPERATOR_KEY,
    )
    async def metrics() -> MetricsResponse:
        return MetricsResponse(generator.metrics.render())

    return router
