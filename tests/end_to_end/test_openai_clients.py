"""Published clients of OpenAI's API, unmodified, against the gateway: over a scripted model, and on the real stack."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from adapter.call import Call
from adapter.errors import Overloaded, PromptTooLong, RateLimited, WorkerDied
from adapter.gateway import create_app
from adapter.schema import ERROR_CATALOGUE, ErrorCode, GenerationRequest, StreamEvent, WorkerRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.end_to_end.client_programs import NODE, TIMEOUT, run_program
from tests.fakes import FakeInference, FakeManagement, answer_to, serving
from tests.project import PROJECT
from tests.seeing import seen_at_last

PROGRAMS = PROJECT / "tests" / "openai_clients"

CLIENTS: dict[str, list[str | Path]] = {
    "openai Python": [sys.executable, PROGRAMS / "openai_python.py"],
    "langchain-openai": [sys.executable, PROGRAMS / "langchain_python.py"],
    "openai npm 7": [NODE, PROGRAMS / "openai-node.mjs", "openai-7"],
    "openai npm 6": [NODE, PROGRAMS / "openai-node.mjs", "openai-6"],
    "ai 7": [NODE, PROGRAMS / "ai-sdk.mjs", "ai-7", "@ai-sdk/openai-compatible-3"],
    "ai 6": [NODE, PROGRAMS / "ai-sdk.mjs", "ai-6", "@ai-sdk/openai-compatible-2"],
}
KEY = "a-key-that-is-known"

SCRIPTED = {
    "overloaded": Overloaded("The queue is full of others."),
    "rate_limited": RateLimited("Too fast for this key."),
    "worker_died": WorkerDied("It died in the middle of a word."),
    # The worker's own words (tests/handlers/test_context_overflow.py).
    "context_length_exceeded": PromptTooLong(
        "The prompt is too long: this model's maximum context length is 512 tokens with at least one for the answer, "
        "and a prompt of 600 tokens exceeds the context window."
    ),
}
DETAILS = {
    "unauthorized": "This API key is not known here",
    "invalid_request": "modalities: Not supported",
    "model_not_found": "There is no model 'other'",
} | {word: error.detail for word, error in SCRIPTED.items()}

OPENAI_ERRORS = {
    "unauthorized": "AuthenticationError",
    "invalid_request": "UnprocessableEntityError",
    "model_not_found": "NotFoundError",
    "overloaded": "InternalServerError",
    "rate_limited": "RateLimitError",
    "worker_died": "APIError",
    "context_length_exceeded": "BadRequestError",
}
LANGCHAIN_ERRORS = {
    "unauthorized": "OpenAIAuthenticationError",
    "invalid_request": "UnprocessableEntityError",
    "model_not_found": "OpenAIModelNotFoundError",
    "overloaded": "OpenAIAPIError",
    "rate_limited": "OpenAIRateLimitError",
    "worker_died": "APIError",
    "context_length_exceeded": "OpenAIContextOverflowError",
}
AI_ERRORS = dict.fromkeys(DETAILS, "AI_APICallError")
# The answer of a worker that died had begun, with 200.
STATUSES = {code: ERROR_CATALOGUE[code].status for code in ErrorCode} | {
    "worker_died": None,
    "context_length_exceeded": 400,
}
ERRORS: dict[str, dict[str, str | None]] = {
    "openai Python": OPENAI_ERRORS,
    "langchain-openai": LANGCHAIN_ERRORS,
    "openai npm 7": OPENAI_ERRORS,
    "openai npm 6": OPENAI_ERRORS,
    "ai 7": AI_ERRORS | {"worker_died": "AI_StreamProviderError"},
    "ai 6": AI_ERRORS | {"worker_died": None},  # it hands out the object as it came
}


class PromptedInference(FakeInference):
    """Does what a word in the prompt says."""

    def __init__(self) -> None:
        super().__init__()
        self._has_left = asyncio.Event()

    async def stream(self, request: GenerationRequest, call: Call) -> AsyncGenerator[list[StreamEvent], None]:
        pinned = WorkerRequest.model_validate({**dict(request), "id": call.request_id})
        start, *deltas, done = answer_to(pinned, "Hello", " world")
        failure = next((error for word, error in SCRIPTED.items() if word in request.prompt), None)
        yield [start]
        if "departure" in request.prompt:
            await self._has_left.wait()
            self._has_left.clear()
        if failure is not None and not isinstance(failure, WorkerDied):
            raise failure
        for delta in deltas:
            yield [delta]
        if failure is not None:
            raise failure
        if "endless" in request.prompt:
            try:
                await asyncio.Event().wait()
            finally:
                self._has_left.set()
        yield [done]


def run(client: str, *arguments: str) -> dict[str, Any]:
    """What the client's program saw; it fails where the client does."""
    return run_program([*CLIENTS[client], *arguments])


@pytest.fixture(scope="module")
def scripted_gateway() -> Iterator[str]:
    registry = ModelRegistry(FakeManagement(), None)
    with serving(create_app(Settings(api_keys=KEY), inference=PromptedInference(), registry=registry)) as url:
        yield url


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def seen(client: str, scripted_gateway: str) -> dict[str, Any]:
    return run(client, scripted_gateway, "tiny", "with failures")


def test_client_gets_completions_chats_and_pieces(seen: dict[str, Any]) -> None:
    assert (seen["completion"], seen["chat"], seen.get("helper", "Hello world")) == ("Hello world",) * 3
    assert seen["stream"]["texts"] == ["Hello", " world"]
    assert (seen["stream"]["usage"]["prompt_tokens"], seen["stream"]["usage"]["completion_tokens"]) == (3, 2)
    assert seen.get("models", ["tiny"]) == ["tiny"]


@pytest.mark.parametrize("code", DETAILS)
def test_failure_is_the_clients_own_error_with_our_detail(client: str, seen: dict[str, Any], code: str) -> None:
    failure = seen["failures"][code]
    assert (failure.get("name"), failure["code"]) == (ERRORS[client][code], code)
    assert DETAILS[code] in failure["text"]
    assert failure.get("status") == STATUSES[code]


def test_abort_ends_the_generation_while_the_client_lives_on(seen: dict[str, Any]) -> None:
    assert seen["after_departure"] == "Hello world"


@pytest.mark.torchserve
def test_client_works_on_the_real_stack(client: str, gateway_url: str) -> None:
    seen = seen_at_last(lambda: run(client, gateway_url, "tiny"), lambda seen: len(seen["stream"]["texts"]) > 1)
    assert seen["completion"].strip()
    assert seen["chat"].strip()
    assert len(seen["stream"]["texts"]) > 1
    assert 1 <= seen["stream"]["usage"]["completion_tokens"] <= 20


@pytest.mark.torchserve
def test_chat_goes_by_the_archives_own_template(gateway_url: str) -> None:
    chat = {"messages": [{"role": "user", "content": "Once"}], "model": "tiny", "max_tokens": 20, "temperature": 0}
    answer = requests.post(f"{gateway_url}/v1/chat/completions", json=chat, timeout=TIMEOUT).json()
    # The embedded model's template is the messages, each with a line feed after it.
    same = requests.post(
        f"{gateway_url}/generate", json={"prompt": "Once\n", "max_length": 20, "temperature": 0}, timeout=TIMEOUT
    ).json()
    assert answer["choices"][0]["message"]["content"] == same["text"]
    assert answer["usage"]["prompt_tokens"] == same["prompt_tokens"]
