"""Our own API: each route parses, delegates and shapes the answer."""

from fastapi import APIRouter, Request, Response

from adapter.generation.batch import complete_batch
from adapter.generation.text_generator import TextGenerator
from adapter.http.call_parameters import CallParameters
from adapter.http.departure import unless_caller_leaves
from adapter.http.documented_api import EVENT_STREAM_ANSWER
from adapter.http.event_stream_response import EventStreamResponse
from adapter.http.json_body import JsonRoute
from adapter.http.lasting_answer import LastingAnswer
from adapter.http.shutdown import Shutdown
from adapter.schema import BatchRequest, BatchResponse, GenerationRequest, GenerationResponse
from adapter.settings import Settings


def generation_routes(generator: TextGenerator, shutdown: Shutdown, settings: Settings) -> APIRouter:
    router = APIRouter(route_class=JsonRoute)

    @router.post("/generate", operation_id="generate", summary="Generate a text")
    async def generate(
        body: GenerationRequest, call: CallParameters, request: Request, response: Response
    ) -> GenerationResponse:
        answer = await unless_caller_leaves(request.receive, shutdown, generator.complete(body, call))
        response.headers.update(call.cache.headers())
        return answer

    @router.post(
        "/generate/stream",
        operation_id="generateStream",
        summary="Generate a text, and send it while it grows",
        response_class=Response,
        responses=EVENT_STREAM_ANSWER,
    )
    async def generate_stream(body: GenerationRequest, call: CallParameters) -> Response:
        arrivals = generator.stream(body, call)
        return LastingAnswer(EventStreamResponse(arrivals, call, shutdown, heartbeat=settings.heartbeat_interval))

    @router.post("/generate/batch", operation_id="generateBatch", summary="Generate many texts at once")
    async def generate_batch(body: BatchRequest, call: CallParameters, request: Request) -> BatchResponse:
        work = complete_batch(generator, body, call, settings.max_batch_requests)
        return await unless_caller_leaves(request.receive, shutdown, work)

    return router
