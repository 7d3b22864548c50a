"""Answers of OpenAI's completions that begin with their prompts."""

from collections.abc import Sequence

from adapter.openai.schema import CompletionRequest, OpenAIRequest
from adapter.schema import ChatGenerationRequest, GenerationRequest, GenerationResponse


def with_echo(
    body: OpenAIRequest, requests: Sequence[GenerationRequest], responses: Sequence[GenerationResponse]
) -> list[GenerationResponse]:
    """responses: to the requests that were made of `body`; unchanged, unless it asks for its prompts, too."""
    if not (isinstance(body, CompletionRequest) and body.echo):
        return list(responses)
    return list(map(_echoed, requests, responses))


def _echoed(request: GenerationRequest, response: GenerationResponse) -> GenerationResponse:
    """The response with the prompt before its text and, if asked for, the prompt's logprobs before its own."""
    told = response.prompt_logprobs or ()
    prompt = request.prompt
    if isinstance(request, ChatGenerationRequest) and request.prompt_ids is not None:
        prompt = b"".join(bytes(each.bytes) for each in told).decode(errors="replace")
    logprobs = None if response.logprobs is None else (*told, *response.logprobs)
    return response.model_copy(update={"text": prompt + response.text, "logprobs": logprobs})
