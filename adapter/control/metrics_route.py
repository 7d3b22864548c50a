"""The gateway's figures for its own user: no operator's key is needed on this side."""

from fastapi import APIRouter, Response

from adapter.generation.metrics import CONTENT_TYPE, Metrics


def metrics_route(metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics")
    async def render() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return router
