"""The HTTP API: each route parses, delegates and shapes the answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request

from adapter.departure import unless_caller_leaves
from adapter.docs_page import install_docs
from adapter.documented_api import EVENT_STREAM_ANSWER, PROBLEM_ANSWERS, DocumentedApi
from adapter.event_stream_response import EventStreamResponse
from adapter.inference_client import InferenceClient
from adapter.management_client import ManagementClient
from adapter.model_registry import ModelRegistry
from adapter.problem_responses import install_problem_responses
from adapter.request_envelope import RequestEnvelope
from adapter.schema import GenerationRequest, GenerationResponse, Health, Model, ModelList
from adapter.settings import Settings
from adapter.text_generator import TextGenerator
from adapter.torchserve_keys import KeyFile


def create_app(
    settings: Settings, *, inference: InferenceClient | None = None, registry: ModelRegistry | None = None
) -> FastAPI:
    """The gateway over one TorchServe; `inference` and `registry` replace the clients that `settings` describe."""
    keys = KeyFile(settings.key_file, settings.management_url)
    inference = inference or InferenceClient(settings, keys)
    registry = registry or ModelRegistry(ManagementClient(settings.management_url, keys), settings.default_model)
    generator = TextGenerator(registry, inference)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with inference:
            yield

    app = DocumentedApi(
        title="Torchbridge",
        summary="Text generation by a PyTorch language model behind TorchServe.",
        version=version("torchbridge"),
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load their scripts from the internet
        redoc_url=None,
        redirect_slashes=False,  # a wrong address is a Problem, never an empty 307
        responses=PROBLEM_ANSWERS,
    )
    app.add_middleware(RequestEnvelope, max_body_bytes=settings.max_body_bytes)
    install_problem_responses(app)
    install_docs(app)

    @app.post("/generate", operation_id="generate", summary="Generate a text")
    async def generate(body: GenerationRequest, request: Request) -> GenerationResponse:
        state = request.state
        return await unless_caller_leaves(
            request.receive, generator.complete(body, state.request_id, state.received_at)
        )

    @app.post(
        "/generate/stream",
        operation_id="generateStream",
        summary="Generate a text, and send it while it grows",
        status_code=200,  # else FastAPI looks for a default in the class, whose constructor has none
        response_class=EventStreamResponse,
        responses=EVENT_STREAM_ANSWER,
    )
    async def generate_stream(body: GenerationRequest, request: Request) -> EventStreamResponse:
        state = request.state
        arrivals = generator.stream(body, state.request_id, state.received_at)
        return EventStreamResponse(arrivals, state.request_id)

    @app.get("/models", operation_id="listModels", summary="List the models and their versions")
    async def list_models() -> ModelList:
        return ModelList(models=await registry.models())

    @app.get("/models/{name}", operation_id="getModel", summary="Describe one model")
    async def get_model(name: str) -> Model:
        return await registry.model(name)

    @app.get("/livez", operation_id="livez", summary="Is the gateway running?")
    async def livez() -> Health:
        return Health()

    @app.get("/readyz", operation_id="readyz", summary="Can the default model answer?")
    async def readyz() -> Health:
        await registry.resolve()
        return Health()

    return app
