"""Both Python clients against the whole stack."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from adapter import errors
from adapter.client import AsyncGatewayClient, GatewayClient, Message, ObjectTruncated, StreamClosed

pytestmark = pytest.mark.torchserve

MESSAGES: list[Message] = [{"role": "user", "content": "Once upon a time"}]


def test_text_stream_and_batch_are_one_answer_for_one_seed(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as client:
        text = client.generate_text(prompt="Once upon a time", max_length=20, seed=1, use_cache=False).text
        stream = client.stream_text(prompt="Once upon a time", max_length=20, seed=1, use_cache=False)
        [in_batch] = client.generate_batch([{"prompt": "Once upon a time", "max_length": 20, "seed": 1}])
        assert text == stream.read().text == in_batch.text


def test_a_chat_and_its_stream_are_one_answer_for_one_seed(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as client:
        chat = client.chat(messages=MESSAGES, max_length=20, seed=1, use_cache=False)
        stream = client.stream_chat(messages=MESSAGES, max_length=20, seed=1, use_cache=False)
        assert chat.text == "".join(piece.text for piece in stream) == stream.response.text
    assert (chat.model, chat.model_version, chat.finish_reason) == ("tiny", "1.0", "length")


class Dog(BaseModel):
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=20)
    toys: list[Literal["ball", "kite"]] = Field(max_length=2)


def test_an_object_is_an_instance_of_its_model(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as client:
        for seed in range(3):
            dog = client.generate_object(schema=Dog, prompt="A dog: ", max_length=200, temperature=1, seed=seed)
            assert isinstance(dog, Dog)
        assert isinstance(client.generate_object(schema=Dog, messages=MESSAGES, max_length=200, seed=1), Dog)


def test_an_object_that_too_few_tokens_end_is_truncated(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as client:
        with pytest.raises(ObjectTruncated) as raised:
            client.generate_object(schema=Dog, prompt="A dog: ", max_length=3)
        assert raised.value.text
        with pytest.raises(ObjectTruncated):
            client.generate_object(schema=Dog, messages=MESSAGES, max_length=3)


def test_a_type_that_cannot_be_kept_is_refused_by_its_keyword(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as client, pytest.raises(errors.InvalidRequest, match="uniqueItems"):
        client.generate_object(schema=set[int], prompt="Numbers: ")


def test_another_thread_closes_a_stream_without_an_end_and_the_next_call_is_answered(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as client, ThreadPoolExecutor(1) as pool:
        stream = client.stream_text(prompt="A", model="endless", max_length=10_000)
        reading = pool.submit(list, stream)
        while not stream.text:
            assert not reading.done()
        stream.close()
        with pytest.raises(StreamClosed):
            reading.result()
        assert client.generate_text(prompt="A", model="endless", max_length=1).tokens_generated == 1


def test_a_call_ends_when_its_time_is_over(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as client, pytest.raises(errors.DeadlineExceeded):
        client.generate_text(prompt="A", model="endless", max_length=10_000, timeout=0.5)


async def test_the_client_for_asyncio_gives_the_same_answers_all_at_once(gateway_url: str) -> None:
    with GatewayClient(gateway_url) as blocking:
        expected = [blocking.generate_text(prompt="A", max_length=9, seed=seed).text for seed in range(4)]
    async with AsyncGatewayClient(gateway_url) as client:
        calls = [client.generate_text(prompt="A", max_length=9, seed=seed, use_cache=False) for seed in range(4)]
        answers = await asyncio.gather(*calls)
        streams = [client.stream_text(prompt="A", max_length=9, seed=seed, use_cache=False) for seed in range(4)]
        streamed = await asyncio.gather(*(stream.read() for stream in streams))
        assert (await client.health()).status == (await client.live()).status == "ok"
    assert [answer.text for answer in answers] == [answer.text for answer in streamed] == expected
