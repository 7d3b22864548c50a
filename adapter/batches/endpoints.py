"""One request of a batch, answered by the code that answers live ones."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from adapter.batches.objects import Endpoint
from adapter.call import Call
from adapter.generation.text_generator import TextGenerator
from adapter.openai.answers import CHAT, TEXT, Json, Kind
from adapter.openai.responses.schema import ResponseRequest
from adapter.openai.responses.translation import from_response
from adapter.openai.responses.whole_answer import whole_response
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest, OpenAIRequest, SampledRequest
from adapter.openai.translation import from_chat, from_completion
from adapter.openai.whole_answers import whole_completion
from adapter.schema import GenerationRequest
from adapter.torchserve.model_registry import ModelRegistry
from adapter.validation.request_errors import invalid_request, refused_field

_Body = TypeVar("_Body", bound=SampledRequest)


class Prepared(NamedTuple):
    """named: the model as the request names it. target: the model and version that this means."""

    named: str | None
    target: tuple[str | None, str | None]
    answer: Callable[[Call], Awaitable[Json]]


class Endpoints:
    def __init__(self, generator: TextGenerator, registry: ModelRegistry, max_requests: int) -> None:
        """max_requests: the most answers to one request."""
        self._generator = generator
        self._registry = registry
        self._max_requests = max_requests

    def prepare(self, endpoint: Endpoint, body: Any) -> Prepared:
        """Raises the error with which a live call would be refused, before a token."""
        match endpoint:
            case "/v1/completions":
                completion = _valid(CompletionRequest, body)
                return self._completion(TEXT, completion, from_completion(completion, self._max_requests))
            case "/v1/chat/completions":
                chat = _valid(ChatCompletionRequest, body)
                return self._completion(CHAT, chat, from_chat(chat, self._max_requests))
            case "/v1/responses":
                return self._response(_valid(ResponseRequest, body))

    async def check_target(self, target: tuple[str | None, str | None]) -> None:
        """Raises ModelNotFound, VersionNotFound, InvalidRequest, or a failure that may pass."""
        await self._registry.resolve(*target)

    def _completion(self, kind: Kind, body: OpenAIRequest, requests: list[GenerationRequest]) -> Prepared:
        def answer(call: Call) -> Awaitable[Json]:
            return whole_completion(self._generator, kind, body, requests, _with_user(call, body))

        return Prepared(body.model, _target(requests[0]), answer)

    def _response(self, body: ResponseRequest) -> Prepared:
        request = from_response(body)

        def answer(call: Call) -> Awaitable[Json]:
            return whole_response(self._generator, self._registry, body, request, _with_user(call, body))

        return Prepared(body.model, _target(request), answer)


def _valid(kind: type[_Body], body: Any) -> _Body:
    try:
        valid = kind.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False, include_input=False)) from None
    if valid.stream:
        raise refused_field("stream", "a batch has no streams: leave it out")
    return valid


def _target(request: GenerationRequest) -> tuple[str | None, str | None]:
    return request.model, request.model_version


def _with_user(call: Call, body: SampledRequest) -> Call:
    return replace(call, user=body.user, uses_model_defaults=True)
