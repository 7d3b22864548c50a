"""A response as one object: what a caller waits for, and what a batch keeps."""

import time

from adapter.call import Call
from adapter.generation.text_generator import TextGenerator
from adapter.openai.answers import Json
from adapter.openai.responses.answers import whole
from adapter.openai.responses.schema import ResponseRequest
from adapter.schema import GenerationRequest
from adapter.torchserve.model_registry import ModelRegistry


async def whole_response(
    generator: TextGenerator, registry: ModelRegistry, body: ResponseRequest, request: GenerationRequest, call: Call
) -> Json:
    """request: the one made of `body`."""
    created_at = time.time()
    response = await generator.complete(request, call)
    defaults = registry.sampling_defaults(response.model, response.model_version)
    return whole(body, response, defaults, created_at)
