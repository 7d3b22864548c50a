"""Our own API: each route parses, delegates and shapes the answer."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from adapter.generation.batch import complete_batch
from adapter.generation.text_generator import TextGenerator
from adapter.http.call_parameters import CallParameters
from adapter.http.departure import unless_caller_leaves
from adapter.http.direct_routes import DirectRoute
from adapter.http.documented_api import EVENT_STREAM_ANSWER
from adapter.http.event_stream_response import EventStreamResponse
from adapter.http.resumable_streams import ResumableStreams
from adapter.http.shutdown import Shutdown
from adapter.schema import BatchRequest, BatchResponse, GenerationRequest, GenerationResponse
from adapter.settings import Settings


def generation_routes(
    generator: TextGenerator, streams: ResumableStreams, shutdown: Shutdown, settings: Settings
) -> APIRouter:
    router = APIRouter(route_class=DirectRoute)

    @router.post("/generate", operation_id="generate", summary="Generate a text", response_model=GenerationResponse)
    async def generate(body: GenerationRequest, call: CallParameters, request: Request) -> Response:
        answer = await unless_caller_leaves(request.receive, shutdown, generator.complete(body, call))
        response = _json(answer)
        response.headers.update(call.cache.headers())
        return response

    @router.post(
        "/generate/stream",
        operation_id="generateStream",
        summary="Generate a text, and send it while it grows",
        response_class=Response,
        responses=EVENT_STREAM_ANSWER,
    )
    async def generate_stream(body: GenerationRequest, call: CallParameters, request: Request) -> Response:
        del request
        arrivals, encoding = streams.open(body, call)
        return EventStreamResponse(arrivals, call, shutdown, heartbeat=settings.heartbeat_interval, encoding=encoding)

    @router.delete(
        "/generate/stream",
        operation_id="stopStream",
        summary="Stop the stream of `Last-Event-ID` for good",
        status_code=204,
    )
    async def stop_stream(call: CallParameters) -> None:
        await streams.stop(call)

    @router.post(
        "/generate/batch",
        operation_id="generateBatch",
        summary="Generate many texts at once",
        response_model=BatchResponse,
    )
    async def generate_batch(body: BatchRequest, call: CallParameters, request: Request) -> Response:
        work = complete_batch(generator, body, call, settings.max_batch_requests)
        return _json(await unless_caller_leaves(request.receive, shutdown, work))

    return router


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")
