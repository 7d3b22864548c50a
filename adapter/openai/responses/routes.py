"""/v1/responses, of which nothing is kept: each request has all of its conversation."""

import time
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from adapter.generation.text_generator import TextGenerator
from adapter.http.call_parameters import CallParameters
from adapter.http.departure import unless_caller_leaves
from adapter.http.direct_routes import DirectRoute
from adapter.http.event_stream_response import EventStreamResponse
from adapter.http.shutdown import Shutdown
from adapter.openai.responses.events import ResponseEvents
from adapter.openai.responses.schema import ResponseRequest
from adapter.openai.responses.translation import from_response
from adapter.openai.responses.whole_answer import whole_response
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry


def response_routes(
    generator: TextGenerator, registry: ModelRegistry, shutdown: Shutdown, settings: Settings
) -> APIRouter:
    router = APIRouter(prefix="/v1", include_in_schema=False, route_class=DirectRoute)

    @router.post("/responses")
    async def create_response(body: ResponseRequest, call: CallParameters, http: Request) -> Response:
        request = from_response(body)
        call = replace(call, user=call.user or body.user, uses_model_defaults=True)
        if not body.stream:
            answering = whole_response(generator, registry, body, request, call)
            content = await unless_caller_leaves(http.receive, shutdown, answering)
            return JSONResponse(content, headers=call.cache.headers())
        arrivals = generator.stream(request, call)
        events = ResponseEvents(body, registry.sampling_defaults, time.time())
        beat = settings.heartbeat_interval
        return EventStreamResponse(arrivals, call, shutdown, heartbeat=beat, encoding=events)

    return router
