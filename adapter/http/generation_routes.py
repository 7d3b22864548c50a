"""Our own API: each route parses, delegates and shapes the answer."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from adapter.generation.batch import complete_batch
from adapter.generation.text_generator import TextGenerator
from adapter.http.call_parameters import CallParameters
from adapter.http.cursors import Cursors
from adapter.http.departure import unless_caller_leaves
from adapter.http.direct_routes import DirectRoute
from adapter.http.documented_api import EVENT_STREAM_ANSWER
from adapter.http.event_stream_response import EventStreamResponse
from adapter.http.shutdown import Shutdown
from adapter.schema import BatchRequest, BatchResponse, GenerationRequest, GenerationResponse
from adapter.settings import Settings


def generation_routes(generator: TextGenerator, shutdown: Shutdown, settings: Settings) -> APIRouter:
    router = APIRouter(route_class=DirectRoute)
    cursors = Cursors(settings.cursor_key)

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
        if begun := cursors.begun(body, call):
            call = replace(call, begun=begun, seed=begun.seed, answer_ids=begun.ids)
        encoding = cursors.encoding(body, call)
        if begun:
            body = body.model_copy(update={"model": begun.model, "model_version": begun.version})
        arrivals = generator.stream(body, call)
        return EventStreamResponse(arrivals, call, shutdown, heartbeat=settings.heartbeat_interval, encoding=encoding)

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
