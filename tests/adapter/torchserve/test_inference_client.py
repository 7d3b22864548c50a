import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from urllib.parse import quote

import pytest

from adapter.call import Call
from adapter.errors import UpstreamUnavailable
from adapter.schema import GenerationRequest, WorkerRequest
from adapter.settings import Settings
from adapter.stop_pipe import StopPipe
from adapter.torchserve.inference_client import InferenceClient, prediction_url
from handlers.signs_of_life import COMMENT
from tests.adapter.torchserve.inference_calls import REQUEST, failure_of, run
from tests.fakes import (
    HEADERS_OF_A_STREAM,
    KEY_REFUSED,
    FakeKeys,
    FakeTorchServe,
    Turn,
    answer_to,
    find_a_worker,
    wait_for,
)
from tests.held_clock import HeldClock


async def test_yields_the_workers_events_in_order(inference: InferenceClient) -> None:
    events = await run(inference)
    assert [event.type for event in events] == ["start", "delta", "delta", "done"]


async def test_signs_of_life_are_no_events(inference: InferenceClient, torchserve: FakeTorchServe) -> None:
    async def play(turn: Turn) -> None:
        for event in answer_to(turn.request, "Hello"):
            await turn.send(COMMENT, event, COMMENT)

    torchserve.play = play
    assert [event.type for event in await run(inference)] == ["start", "delta", "done"]


async def test_the_worker_gets_every_parameter_and_the_request_id(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    await run(inference)
    assert torchserve.turns[0].request == WorkerRequest(**dict(REQUEST), id="request-1")


async def test_the_worker_gets_nothing_that_its_caller_left_out(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    """It may be older than the field, and then it would refuse the request."""
    left_out = GenerationRequest(prompt="Once", top_p=None, model="tiny", model_version="1.0")
    await run(inference, left_out)
    assert torchserve.turns[0].request.model_fields_set == {"prompt", "model", "model_version", "id", "stream"}


async def test_the_worker_is_told_that_nobody_reads_the_text_while_it_grows(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    await run(inference, is_streamed=False)
    assert torchserve.turns[0].request == WorkerRequest(**dict(REQUEST), id="request-1", stream=False)


async def test_only_known_headers_reach_torchserve(inference: InferenceClient, torchserve: FakeTorchServe) -> None:
    await run(inference)
    headers = torchserve.turns[0].http.headers
    assert sorted(name.lower() for name in headers) == [
        "accept",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
    ]


async def test_the_target_is_exactly_the_named_model_and_version(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    await run(inference)
    assert torchserve.turns[0].http.raw_path == "/predictions/tiny/1.0"


@pytest.mark.parametrize(
    "name", ["../models", "..", "a/b", "a%2F2.0", "a?customized=true", "a#x", "a;b", "ä", "a\r\nb"]
)
def test_a_name_that_was_never_validated_cannot_leave_predictions(name: str) -> None:
    url = prediction_url("http://127.0.0.1:8080", name, name)
    assert str(url) == f"http://127.0.0.1:8080/predictions/{quote(name, safe='')}/{quote(name, safe='')}"


async def test_times_are_taken_by_the_gateway(
    clock: HeldClock, inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    started = asyncio.Event()

    async def play(turn: Turn) -> None:
        start, *others = answer_to(turn.request, "Hello")
        clock.move(10)
        await turn.send(start)
        await started.wait()
        clock.move(5)
        await turn.send(*others)

    torchserve.play = play
    async with aclosing(inference.stream(REQUEST, Call("request-1", time.monotonic()))) as arrivals:
        await anext(arrivals)
        started.set()
        *_, last = [event async for events in arrivals for event in events]
    assert (last.response.queue_time, last.response.time_to_first_token) == (10, 15)


async def test_leaving_the_stream_closes_the_connection(inference: InferenceClient, torchserve: FakeTorchServe) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    async with aclosing(inference.stream(REQUEST, Call("request-1", time.monotonic()))) as events:
        await anext(events)
    await asyncio.wait_for(torchserve.turns[0].caller_left.wait(), 30)


@pytest.mark.parametrize("is_left", [True, False])
async def test_a_worker_is_told_which_answer_was_left_and_of_no_other(
    is_left: bool, torchserve: FakeTorchServe, keys: FakeKeys, tmp_path: Path
) -> None:
    async def play(turn: Turn) -> None:
        start, *others = answer_to(turn.request, "Hello")
        await turn.send(start, *([] if is_left else others))
        if is_left:
            await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    pipe = StopPipe(tmp_path, "tiny")
    settings = Settings(torchserve_url=torchserve.url, compilations=tmp_path)
    async with (
        InferenceClient(settings, keys, find_a_worker) as inference,
        aclosing(inference.stream(REQUEST, Call("request-1", time.monotonic()))) as arrivals,
    ):
        if is_left:
            await anext(arrivals)
        else:
            assert [event async for events in arrivals for event in events][-1].type == "done"

    assert pipe.take() == ([HEADERS_OF_A_STREAM["x-request-id"]] if is_left else [])
    pipe.close()


async def test_what_was_taken_is_let_go_when_the_next_is_asked_for(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    may_end = asyncio.Event()

    async def play(turn: Turn) -> None:
        start, *others = answer_to(turn.request, "Hello")
        await turn.send(start)
        await may_end.wait()
        await turn.send(*others)

    torchserve.play = play
    async with aclosing(inference.stream(REQUEST, Call("request-1", time.monotonic()))) as arrivals:
        first = await anext(arrivals)
        assert len(first) == 1
        may_end.set()
        await anext(arrivals)
    assert first == []


async def test_cancelling_before_any_answer_closes_the_connection(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    torchserve.play = Turn.wait_until_the_caller_leaves
    running = asyncio.create_task(run(inference))
    turn = await torchserve.wait_for_turn()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(turn.caller_left.wait(), 30)


async def test_no_connection_is_left_after_a_request(inference: InferenceClient) -> None:
    await run(inference)
    await wait_for(lambda: not inference._session.connector._conns and not inference._session.connector._acquired)


async def test_a_refused_key_is_renewed_once_and_the_request_repeated(
    inference: InferenceClient, torchserve: FakeTorchServe, keys: FakeKeys
) -> None:
    torchserve.key = "rotated-elsewhere"
    events = await run(inference)
    assert events[-1].type == "done"
    assert (torchserve.num_refused, keys.num_renewals) == (1, 1)


async def test_many_requests_with_a_refused_key_renew_it_once(
    inference: InferenceClient, torchserve: FakeTorchServe, keys: FakeKeys
) -> None:
    torchserve.key = "rotated-elsewhere"
    answers = await asyncio.gather(*(run(inference) for _ in range(20)))
    assert all(events[-1].type == "done" for events in answers)
    assert keys.num_renewals == 1


async def test_a_key_that_stays_refused_is_the_gateways_trouble_not_the_callers(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        turn.answer(KEY_REFUSED.status, KEY_REFUSED.body, KEY_REFUSED.headers)

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamUnavailable)


async def test_the_key_is_not_read_again_for_each_request(inference: InferenceClient, keys: FakeKeys) -> None:
    await run(inference)
    await run(inference)
    assert keys.num_reads == 1
