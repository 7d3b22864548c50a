import asyncio
import json
import socket

import httpx
import pytest
from httpx import URL

from adapter.schema import DeltaEvent
from tests.adapter.gateway_calls import BODY, FIRST, START, gateway_over, wait_for_ever
from tests.fakes import FakeInference, FakeManagement, FakeTorchServe, Turn, answer_to, wait_for


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize("script", [[wait_for_ever], [START, wait_for_ever]], ids=["at once", "after start"])
async def test_a_caller_who_leaves_before_the_answer_ends_the_generation(
    address: str, inference: FakeInference, path: str, script: list[object]
) -> None:
    inference.script = script
    async with httpx.AsyncClient(base_url=address) as client:
        asking = asyncio.create_task(client.post(path, json=BODY, timeout=None))
        await wait_for(lambda: inference.requests)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await wait_for(inference.is_closed.is_set)


async def test_a_caller_who_leaves_in_mid_stream_ends_the_generation(address: str, inference: FakeInference) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    async with httpx.AsyncClient(base_url=address) as client:
        async with client.stream("POST", "/generate/stream", json=BODY) as answer:
            await anext(answer.aiter_bytes())
        await wait_for(inference.is_closed.is_set)


async def test_a_caller_who_stays_and_does_not_read_keeps_no_slot(address: str, inference: FakeInference) -> None:
    more_than_all_buffers = [DeltaEvent(index=index, text="a" * 100_000) for index in range(200)]
    inference.script = [START, *more_than_all_buffers, wait_for_ever]
    url, body = URL(address), json.dumps(BODY)
    head = f"Host: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Request-Timeout: 0.5\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((url.host, url.port))
        connection.sendall(f"POST /generate/stream HTTP/1.1\r\n{head}\r\n{body}".encode())
        await wait_for(inference.is_closed.is_set)


async def test_leaving_closes_the_connection_to_torchserve(management: FakeManagement) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        await turn.wait_until_the_caller_leaves()

    async with FakeTorchServe(play) as torchserve:
        with gateway_over(torchserve, management) as address:
            async with (
                httpx.AsyncClient(base_url=address) as client,
                client.stream("POST", "/generate/stream", json=BODY) as answer,
            ):
                await anext(answer.aiter_bytes())
            await wait_for(torchserve.turns[0].caller_left.is_set)
