"""One generation, from a valid request to its events: picks the version, runs it, says why it was refused."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from adapter.errors import Overloaded, UpstreamProtocol
from adapter.inference_client import InferenceClient
from adapter.model_registry import ModelRegistry
from adapter.schema import DoneEvent, GenerationRequest, GenerationResponse, StreamEvent


class TextGenerator:
    """Knows nothing of HTTP; `received_at` is time.monotonic() of the request's arrival."""

    def __init__(self, registry: ModelRegistry, inference: InferenceClient) -> None:
        self._registry = registry
        self._inference = inference

    async def stream(
        self, request: GenerationRequest, request_id: str, received_at: float
    ) -> AsyncGenerator[list[StreamEvent], None]:
        """Events up to and with `done`, in lists of what came together; every other end is an exception."""
        model, version = await self._registry.resolve(request.model, request.model_version)
        pinned = request.model_copy(update={"model": model, "model_version": version})
        try:
            async with aclosing(self._inference.stream(pinned, request_id, received_at)) as arrivals:
                async for events in arrivals:
                    yield events
        except Overloaded:
            # TorchServe says the same of a full queue and of no worker (ApiUtils.java:456-477): a description tells.
            await self._registry.check_ready(model, version)
            raise

    async def complete(self, request: GenerationRequest, request_id: str, received_at: float) -> GenerationResponse:
        async with aclosing(self.stream(request, request_id, received_at)) as arrivals:
            async for events in arrivals:
                if isinstance(events[-1], DoneEvent):
                    return events[-1].response
        raise UpstreamProtocol("The model server's answer has no end.")
