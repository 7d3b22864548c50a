"""Several answers to one call: as OpenAI has them, whole and streamed; where one fails, all do, and nothing runs on."""

from itertools import count
from typing import Any

import httpx
import openai.types
import openai.types.chat
import pytest

from adapter.errors import GenerationFailed
from tests.adapter.gateway_calls import START, wait_for_ever
from tests.adapter.openai.test_routes import CHATS, COMPLETIONS, STREAMED, WITH_USAGE, as_openai_has_it, data_of
from tests.fakes import FakeInference, wait_for

TWO = {"prompt": ["Once", "Twice"], "n": 2}


async def test_choices_of_several_prompts_are_numbered_in_their_order(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    answer = await client.post(COMPLETIONS[0], json=COMPLETIONS[1] | TWO, headers={"x-request-id": "request-1"})

    parsed = as_openai_has_it(openai.types.Completion, answer.json())
    assert [choice.index for choice in parsed.choices] == [0, 1, 2, 3]
    assert sorted(request.prompt for request in inference.requests) == ["Once", "Once", "Twice", "Twice"]
    assert parsed.usage.to_dict() == {"prompt_tokens": 6, "completion_tokens": 8, "total_tokens": 14}


async def test_choices_of_a_chat_count_its_prompt_once(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHATS[0], json=CHATS[1] | {"n": 3})

    parsed = as_openai_has_it(openai.types.chat.ChatCompletion, answer.json())
    assert [choice.message.content for choice in parsed.choices] == ["Hello world"] * 3
    assert parsed.usage.to_dict() == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}


async def test_streamed_each_choice_has_its_own_chunks_of_one_answer(client: httpx.AsyncClient) -> None:
    *chunks, last, done = data_of(await client.post(CHATS[0], json=CHATS[1] | WITH_USAGE | {"n": 2}))

    texts: dict[int, str] = {}
    ends: dict[int, str] = {}
    for chunk in chunks:
        [choice] = as_openai_has_it(openai.types.chat.ChatCompletionChunk, chunk).choices
        texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
        ends |= {choice.index: choice.finish_reason} if choice.finish_reason else {}
    assert texts == {0: "Hello world", 1: "Hello world"}
    assert ends == {0: "stop", 1: "stop"}
    assert len({chunk["id"] for chunk in [*chunks, last]}) == 1
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 4)
    assert done == "[DONE]"


@pytest.mark.parametrize("how", [{}, STREAMED], ids=["whole", "streamed"])
async def test_where_one_fails_all_do_and_no_other_runs_on(
    client: httpx.AsyncClient, inference: FakeInference, how: dict[str, Any]
) -> None:
    numbers = count()

    async def wait_for_ever_or_fail() -> None:
        if next(numbers) == 0:
            await wait_for_ever()
        raise GenerationFailed("no")

    inference.script = [START, wait_for_ever_or_fail]
    answer = await client.post(COMPLETIONS[0], json=COMPLETIONS[1] | how | {"n": 2})

    assert answer.status_code == 502
    await wait_for(lambda: inference.num_closed == len(inference.requests) == 2)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHATS[0], CHATS[1] | {"n": 33}),
        (CHATS[0], CHATS[1] | {"n": 10**12}),
        (COMPLETIONS[0], COMPLETIONS[1] | {"n": 17} | {"prompt": ["Once", "Twice"]}),
    ],
)
async def test_more_answers_than_a_batch_has_are_refused_before_they_are_made(
    client: httpx.AsyncClient, inference: FakeInference, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(path, json=body)

    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "n"
    assert not inference.requests
