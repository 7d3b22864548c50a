"""What clients look for in the words of a failure, to know that the prompt was too long."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.schema import ErrorCode, ErrorEvent
from tests.handlers.fake_frontend import FakeFrontend

MODELS = Path(__file__).parents[2] / "models"

# As they are written there; most also, or only, look at OpenAI's code (tests/adapter/http/test_openai_problem.py).
PHRASES = {
    "LiteLLM (litellm_core_utils/exception_mapping_utils.py)": r"(?i)this model's maximum context length is",
    "LangChain (langchain_openai/chat_models/base.py)": r"exceeds the context window",
    "LangChain, for status 400": r"prompt is too long",
    "Letta (llm_api/error_utils.py)": r"maximum context length",
    "OpenHands (llm/exceptions)": r"(?i)exceeds the context window",
    "Cline (context-error-handling.ts)": r"(?i)context\s*(length|window)",
    "Roo Code (context-error-handling.ts)": r"(?i)\bmaximum\s*context\b",
    "Roo Code, by tokens": r"(?i)\b(?:input\s*)?tokens?\s*exceed",
    "pi and opencode (utils/overflow.ts, provider/error.ts)": r"(?i)maximum context length is \d+ tokens",
    "pi and opencode, as Anthropic's": r"(?i)prompt is too long",
}


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeFrontend]:
    directory = tmp_path_factory.mktemp("model")
    (directory / "model").symlink_to(MODELS / "tiny")
    frontend = FakeFrontend(directory)
    yield frontend
    frontend.close()


@pytest.fixture(scope="module")
def words(handler: FakeFrontend) -> str:
    client = handler.send(prompt="Once upon a time " * 2_000)
    handler.run()
    error = client.events[-1]
    assert isinstance(error, ErrorEvent)
    assert error.problem.code == ErrorCode.PROMPT_TOO_LONG
    return error.problem.detail


@pytest.mark.parametrize("client", PHRASES)
def test_a_client_knows_a_prompt_that_is_too_long_by_its_words(client: str, words: str) -> None:
    assert re.search(PHRASES[client], words)


def test_the_words_say_both_lengths(words: str, handler: FakeFrontend) -> None:
    length, prompt = map(int, re.findall(r"(\d+) tokens", words))
    assert length == handler.handler._engine.context_length < prompt
