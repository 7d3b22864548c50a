"""/v1, which OpenAI's clients call: translated to and from our own requests and answers."""

from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from adapter.call import Begun, Call
from adapter.generation.side_by_side import stream_all
from adapter.generation.text_generator import TextGenerator
from adapter.http.call_parameters import CallParameters
from adapter.http.cursors import began_at
from adapter.http.departure import unless_caller_leaves
from adapter.http.direct_routes import DirectRoute
from adapter.http.event_stream_response import EventStreamResponse
from adapter.http.resumable_streams import Form, ResumableStreams
from adapter.http.shutdown import Shutdown
from adapter.openai.answers import CHAT, TEXT, Chunks, Kind
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest, OpenAIRequest
from adapter.openai.several_choices import ChunksOfSeveral
from adapter.openai.translation import from_chat, from_completion, model_and_version
from adapter.openai.whole_answers import whole_completion
from adapter.schema import GenerationRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion


def openai_routes(
    generator: TextGenerator,
    streams: ResumableStreams,
    registry: ModelRegistry,
    shutdown: Shutdown,
    settings: Settings,
) -> APIRouter:
    # Not in our document: OpenAI's own describes them, and our TypeScript client does not call them.
    router = APIRouter(prefix="/v1", include_in_schema=False, route_class=DirectRoute)
    most = settings.max_batch_requests

    @router.post("/completions")
    async def create_completion(body: CompletionRequest, call: CallParameters, http: Request) -> Response:
        return await answer(TEXT, body, from_completion(body, most), call, http)

    @router.post("/chat/completions")
    async def create_chat_completion(body: ChatCompletionRequest, call: CallParameters, http: Request) -> Response:
        return await answer(CHAT, body, from_chat(body, most), call, http)

    @router.get("/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(each.model, each) for each in await registry.defaults()]}

    @router.get("/models/{model_id:path}")
    async def retrieve_model(model_id: str) -> dict[str, Any]:
        return _model(model_id, await registry.resolve(*model_and_version(model_id)))

    async def answer(
        kind: Kind, body: OpenAIRequest, requests: list[GenerationRequest], call: Call, http: Request
    ) -> Response:
        call = replace(call, user=call.user or body.user, uses_model_defaults=True)
        if not body.stream:
            answering = whole_completion(generator, kind, body, requests, call)
            content = await unless_caller_leaves(http.receive, shutdown, answering)
            return JSONResponse(content, headers=call.cache.headers() if len(requests) == 1 else {})
        beat, include_usage = settings.heartbeat_interval, body.stream_options.include_usage
        if len(requests) == 1:
            form = Form(kind.chunk_object, partial(_chunks, kind, include_usage))
            arrivals, encoding = streams.open(requests[0], call, form)
            return EventStreamResponse(arrivals, call, shutdown, heartbeat=beat, encoding=encoding)
        chunks = ChunksOfSeveral(
            kind, include_usage=include_usage, count=len(requests), num_choices=body.n, id=call.request_id
        )
        several = stream_all(generator, requests, call)
        return EventStreamResponse(several, call, shutdown, heartbeat=beat, encoding=chunks)

    return router


def _chunks(kind: Kind, include_usage: bool, stream: str | None, begun: Begun | None) -> Chunks:
    """Those of a stream with a name have its name and its date, at whichever gateways they are written."""
    created = None if stream is None else began_at(stream)
    chunks = Chunks(kind, include_usage=include_usage, id=stream, created=created)
    if begun is not None:
        chunks.go_on(begun)
    return chunks


def _model(model_id: str, version: PinnedVersion) -> dict[str, Any]:
    created = version.archive.stored_at  # archives have no date of their own: the same bytes at any time
    return {"id": model_id, "object": "model", "created": created, "owned_by": "torchbridge"}
