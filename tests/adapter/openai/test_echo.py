"""Completions that echo their prompt, as text and with its logprobs; and prompts of token ids."""

from typing import Any

import httpx
import openai.types
import pytest

from adapter.schema import (
    ChatGenerationRequest,
    DoneEvent,
    GenerationRequest,
    PromptLogprob,
    TokenLogprob,
    TopLogprob,
    WorkerRequest,
)
from tests.adapter.gateway_calls import START
from tests.adapter.openai.test_requests import completion, refused_field
from tests.adapter.openai.test_routes import COMPLETIONS, as_openai_has_it
from tests.fakes import FakeInference, answer_to


def token(text: str, logprob: Any) -> dict[str, Any]:
    return {"id": 1, "token": text, "bytes": tuple(text.encode()), "logprob": logprob}


TOP = (TopLogprob(**token("the", -0.1)),)
PROMPT = (PromptLogprob(**token("On", None), top=()), PromptLogprob(**token("ce", -0.5), top=TOP))
ANSWER = (TokenLogprob(**token(" Hi", -1.5), top=TOP),)


def done(**told: Any) -> DoneEvent:
    *_, event = answer_to(WorkerRequest(prompt="Once", id="1", model="tiny", model_version="1.0"), " Hi")
    assert isinstance(event, DoneEvent)
    return DoneEvent(response=event.response.model_copy(update=told))


async def choice(client: httpx.AsyncClient, **keys: Any) -> openai.types.CompletionChoice:
    answer = await client.post(COMPLETIONS[0], json=COMPLETIONS[1] | {"echo": True} | keys)
    return as_openai_has_it(openai.types.Completion, answer.json()).choices[0]


async def test_a_prompt_comes_before_its_answer(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, done()]
    assert (await choice(client)).text == "Once Hi"


async def test_its_logprobs_come_before_those_of_the_answer(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    """The first token has none, which the types of OpenAI's package do not know."""
    inference.script = [START, done(prompt_logprobs=PROMPT, logprobs=ANSWER)]
    answer = await client.post(COMPLETIONS[0], json=COMPLETIONS[1] | {"echo": True, "logprobs": 1})

    assert answer.json()["choices"][0]["logprobs"] == {
        "tokens": ["On", "ce", " Hi"],
        "token_logprobs": [None, -0.5, -1.5],
        "top_logprobs": [None, {"the": -0.1, "ce": -0.5}, {"the": -0.1, " Hi": -1.5}],
        "text_offset": [0, 2, 4],
    }


async def test_the_text_of_token_ids_is_that_of_the_tokens(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, done(prompt_logprobs=PROMPT)]
    assert (await choice(client, prompt=[5, 7])).text == "Once Hi"


async def test_several_prompts_are_echoed_each_its_own(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, done()]
    answer = await client.post(COMPLETIONS[0], json=COMPLETIONS[1] | {"echo": True, "prompt": ["Once", "Twice"]})
    assert [each["text"] for each in answer.json()["choices"]] == ["Once Hi", "Twice Hi"]


def asked(**keys: Any) -> GenerationRequest:
    return completion(**keys)


def test_logprobs_of_the_prompt_are_asked_for_where_they_are_needed() -> None:
    assert asked(echo=True, logprobs=2).prompt_logprobs == 2
    assert asked(echo=True).prompt_logprobs is None
    assert asked(logprobs=2).prompt_logprobs is None
    assert asked(echo=True, prompt=[5, 7]).prompt_logprobs == 0


@pytest.mark.parametrize("prompt", [[5, 7], [[5, 7]]])
def test_a_prompt_may_be_token_ids(prompt: Any) -> None:
    request = asked(prompt=prompt)
    assert isinstance(request, ChatGenerationRequest)
    assert request.prompt_ids == (5, 7)


def test_a_prompt_of_text_is_one_that_older_archives_know() -> None:
    assert not asked().model_fields_set & {"prompt_ids", "prompt_logprobs"}


def test_an_echo_is_not_streamed() -> None:
    assert refused_field(asked, echo=True, stream=True) == "echo"


@pytest.mark.parametrize("prompt", [[], [[]], [1.5], [[1], "a", None], [True]], ids=str)
def test_a_prompt_that_is_neither_is_refused(prompt: Any) -> None:
    assert refused_field(asked, prompt=prompt) == "prompt"
