"""Completions and chats as one object: what a caller waits for, and what a batch keeps."""

from collections.abc import Sequence

from adapter.call import Call
from adapter.generation.side_by_side import complete_all
from adapter.generation.text_generator import TextGenerator
from adapter.openai.answers import Json, Kind, completion
from adapter.openai.echo import with_echo
from adapter.openai.schema import OpenAIRequest
from adapter.schema import GenerationRequest


async def whole_completion(
    generator: TextGenerator, kind: Kind, body: OpenAIRequest, requests: Sequence[GenerationRequest], call: Call
) -> Json:
    """requests: those that were made of `body`. Cancelled, it cancels them all."""
    if len(requests) == 1:
        responses = [await generator.complete(requests[0], call)]
    else:
        responses = await complete_all(generator, requests, call)
    return completion(kind, with_echo(body, requests, responses), body.n)
