"""What only the asyncio client has: tasks, and event loops."""

import asyncio
import json
import subprocess
import sys

import pytest

from adapter.client import AsyncGatewayClient, StreamClosed
from adapter.schema import ErrorCode, Problem
from tests.adapter.fake_gateway import Exchange, FakeGateway, fake_gateway
from tests.adapter.wire import REQUEST, START
from tests.fakes import FakeInference
from tests.waiting import PATIENCE, wait_until

TWO_LOOPS = """
import asyncio, json, sys
from adapter.client import AsyncGatewayClient

client = AsyncGatewayClient(sys.argv[1])

async def call():
    return await client.generate_text(**json.loads(sys.argv[2]))

for _ in range(2):
    print(asyncio.run(call()).text)
"""

NEVER = Exchange.wait_until_the_caller_leaves


def start_and_stall(exchange: Exchange) -> None:
    exchange.begin_stream(START)
    NEVER(exchange)


async def exchange_of(gateway: FakeGateway) -> Exchange:
    await asyncio.to_thread(wait_until, lambda: bool(gateway.exchanges))
    return gateway.exchanges[0]


async def test_many_calls_run_at_once(address: str) -> None:
    async with AsyncGatewayClient(address) as client:
        answers = await asyncio.gather(*(client.generate_text(**REQUEST) for _ in range(20)))
    assert {answer.text for answer in answers} == {"Hello world"}


async def test_a_task_that_is_cancelled_cancels_its_request(address: str, inference: FakeInference) -> None:
    inference.script = [inference.is_closed.wait]
    async with AsyncGatewayClient(address) as client:
        task = asyncio.create_task(client.generate_text(**REQUEST))
        await asyncio.to_thread(wait_until, lambda: bool(inference.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(wait_until, inference.is_closed.is_set)
        inference.script = None
        assert isinstance(await client.models(), object)


async def test_another_task_closes_a_stream_that_waits_for_an_event() -> None:
    with fake_gateway(start_and_stall) as gateway:
        async with AsyncGatewayClient(gateway.url, silence_timeout=2 * PATIENCE) as client:
            stream = client.stream_text(**REQUEST)
            assert await anext(stream) == START
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            await stream.close()
            with pytest.raises(StreamClosed):
                await asyncio.wait_for(waiting, PATIENCE)
            assert await asyncio.to_thread(gateway.exchanges[0].caller_left.wait, PATIENCE)


async def test_another_task_closes_a_stream_that_waits_for_its_answer_to_begin() -> None:
    with fake_gateway(NEVER) as gateway:
        async with AsyncGatewayClient(gateway.url, silence_timeout=2 * PATIENCE) as client:
            stream = client.stream_text(**REQUEST)
            waiting = asyncio.create_task(anext(stream))
            exchange = await exchange_of(gateway)
            await stream.close()
            with pytest.raises(StreamClosed):
                await asyncio.wait_for(waiting, PATIENCE)
            assert await asyncio.to_thread(exchange.caller_left.wait, PATIENCE)


async def test_another_task_closes_a_stream_that_pauses_before_another_attempt() -> None:
    busy = Problem.of(ErrorCode.OVERLOADED, "busy", retry_after=60)
    with fake_gateway(lambda exchange: exchange.answer(503, busy.model_dump())) as gateway:
        async with AsyncGatewayClient(gateway.url, silence_timeout=2 * PATIENCE) as client:
            stream = client.stream_text(**REQUEST)
            waiting = asyncio.create_task(anext(stream))
            await exchange_of(gateway)
            await asyncio.to_thread(wait_until, lambda: stream._wire._connection is None)
            await stream.close()
            with pytest.raises(StreamClosed):
                await asyncio.wait_for(waiting, 30)
            assert len(gateway.exchanges) == 1


async def test_a_reader_that_is_cancelled_is_cancelled_and_not_closed() -> None:
    with fake_gateway(start_and_stall) as gateway:
        async with AsyncGatewayClient(gateway.url, silence_timeout=2 * PATIENCE) as client:
            stream = client.stream_text(**REQUEST)
            assert await anext(stream) == START
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await asyncio.to_thread(gateway.exchanges[0].caller_left.wait, PATIENCE)


def test_one_client_serves_one_event_loop_after_another(address: str) -> None:
    # In a process of its own: the first loop leaves a connection open, and its garbage would be another test's failure.
    program = [sys.executable, "-W", "ignore", "-c", TWO_LOOPS, address, json.dumps(REQUEST)]
    answers = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert answers.splitlines() == ["Hello world"] * 2
