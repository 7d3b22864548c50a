"""A connection to TorchServe serves the next request after a whole answer, and never with what nobody asked for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from aiohttp.client_proto import ResponseHandler

from adapter.call import Call
from adapter.errors import UpstreamLost
from adapter.schema import DoneEvent
from adapter.torchserve.inference_client import InferenceClient
from tests.adapter.torchserve.inference_calls import REQUEST, failure_of, run
from tests.fakes import FakeTorchServe, Turn, answer_to, play_hello, wait_for

_UNASKED_FOR = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


def _kept(inference: InferenceClient) -> list[ResponseHandler]:
    return [handler for kept in inference._session.connector._conns.values() for handler, _ in kept]


@pytest.fixture
def callers(torchserve: FakeTorchServe) -> list[object]:
    """The address that each request came from."""
    callers: list[object] = []

    async def play(turn: Turn) -> None:
        callers.append(turn.http.transport.get_extra_info("peername"))
        await play_hello(turn)

    torchserve.play = play
    return callers


async def test_requests_one_after_the_other_come_on_one_connection(
    inference: InferenceClient, callers: list[object]
) -> None:
    for _ in range(3):
        await run(inference)
        await wait_for(lambda: _kept(inference))
    assert len(callers) == 3
    assert len(set(callers)) == 1


async def test_requests_at_once_have_each_their_own(inference: InferenceClient, callers: list[object]) -> None:
    await asyncio.gather(*(run(inference) for _ in range(3)))
    assert len(set(callers)) == 3


async def test_the_last_event_does_not_wait_for_the_answers_end_but_the_connection_does(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    may_end = asyncio.Event()

    async def play(turn: Turn) -> None:
        await play_hello(turn)
        await may_end.wait()

    torchserve.play = play
    await run(inference)
    assert not _kept(inference)
    may_end.set()
    await wait_for(lambda: _kept(inference))


async def test_an_answer_that_never_ends_costs_the_connection(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        await play_hello(turn)
        await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    await run(inference)
    await asyncio.wait_for(torchserve.turns[0].caller_left.wait(), 30)
    assert not _kept(inference)


async def test_who_leaves_with_the_last_event_in_his_hands_keeps_the_connection(
    inference: InferenceClient,
) -> None:
    async with aclosing(inference.stream(REQUEST, Call("request-1", time.monotonic()))) as arrivals:
        async for events in arrivals:
            if isinstance(events[-1], DoneEvent):
                break
    await wait_for(lambda: _kept(inference))


async def test_what_comes_unasked_for_is_not_the_next_requests_answer(
    inference: InferenceClient, torchserve: FakeTorchServe, callers: list[object]
) -> None:
    await run(inference)
    await wait_for(lambda: _kept(inference))
    torchserve.turns[0].http.transport.write(_UNASKED_FOR)
    await wait_for(lambda: len(_kept(inference)[0]) == 1)  # it has come
    assert (await run(inference))[-1].type == "done"
    assert len(set(callers)) == 2


async def test_a_connection_that_torchserve_has_closed_is_not_asked_again(
    inference: InferenceClient, torchserve: FakeTorchServe, callers: list[object]
) -> None:
    await run(inference)
    await wait_for(lambda: _kept(inference))
    torchserve.turns[0].http.transport.close()
    await wait_for(lambda: not _kept(inference)[0].is_connected())
    assert (await run(inference))[-1].type == "done"
    assert len(set(callers)) == 2


async def test_a_kept_connection_that_ends_without_an_answer_is_a_lost_request(
    inference: InferenceClient, torchserve: FakeTorchServe, callers: list[object]
) -> None:
    """TorchServe may have begun with it: whoever asks for it once more counts that."""
    await run(inference)
    await wait_for(lambda: _kept(inference))

    async def play(turn: Turn) -> None:
        callers.append(turn.http.transport.get_extra_info("peername"))
        turn.reset()

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamLost)
    assert len(callers) == 2
    assert len(set(callers)) == 1


async def _cut(turn: Turn) -> None:
    await turn.send(*answer_to(turn.request, "Hello")[:2])


async def _of_another(turn: Turn) -> None:
    await turn.send(*answer_to(turn.request.model_copy(update={"id": "request-0"}), "Hello"))


async def _refused(turn: Turn) -> None:
    await turn.answer(503, b"{}", "application/json", has_id=True)
    turn.stream.headers.pop("connection")


@pytest.mark.parametrize("play", [_cut, _of_another, _refused])
async def test_after_a_failure_none_is_kept(
    inference: InferenceClient, torchserve: FakeTorchServe, play: Callable[[Turn], Awaitable[None]]
) -> None:
    torchserve.play = play
    await failure_of(inference)
    await wait_for(lambda: not torchserve.num_connections)
    assert not _kept(inference)
