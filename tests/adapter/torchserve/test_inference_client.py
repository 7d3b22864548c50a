import asyncio
import socket
import time
from contextlib import aclosing
from urllib.parse import quote

import pytest

from adapter.call import Call
from adapter.errors import (
    DeadlineExceeded,
    GenerationFailed,
    ModelNotFound,
    ModelNotReady,
    Overloaded,
    PayloadTooLarge,
    PromptTooLong,
    TorchbridgeError,
    UpstreamProtocol,
    UpstreamUnavailable,
    WorkerDied,
)
from adapter.schema import ErrorCode, ErrorEvent, GenerationRequest, Problem, StreamEvent, WorkerRequest
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient, prediction_url
from adapter.torchserve.model_registry import PinnedVersion
from tests.fakes import NO_WORKER_OR_QUEUE_FULL, FakeKeys, FakeTorchServe, Turn, answer_to, find_a_worker, wait_for

REQUEST = GenerationRequest(prompt="Once", model="tiny", model_version="1.0", stop=("\n",), seed=7)


async def run(inference: InferenceClient, request: GenerationRequest = REQUEST) -> list[StreamEvent]:
    arrivals = inference.stream(request, Call("request-1", time.monotonic()))
    return [event async for events in arrivals for event in events]


async def failure_of(inference: InferenceClient) -> TorchbridgeError:
    with pytest.raises(TorchbridgeError) as failure:
        await run(inference)
    return failure.value


async def test_yields_the_workers_events_in_order(inference: InferenceClient) -> None:
    events = await run(inference)
    assert [event.type for event in events] == ["start", "delta", "delta", "done"]


async def test_the_worker_gets_every_parameter_and_the_request_id(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    await run(inference)
    assert torchserve.turns[0].request == WorkerRequest(**dict(REQUEST), id="request-1")


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


async def test_times_are_taken_by_the_gateway(inference: InferenceClient, torchserve: FakeTorchServe) -> None:
    waiting = asyncio.Event()

    async def play(turn: Turn) -> None:
        start, *others = answer_to(turn.request, "Hello")
        await waiting.wait()
        await turn.send(start, *others)

    torchserve.play = play
    running = asyncio.create_task(run(inference))
    await torchserve.wait_for_turn()
    released_after = 0.05
    await asyncio.sleep(released_after)
    waiting.set()
    response = (await running)[-1].response
    assert response.queue_time >= released_after
    assert response.time_to_first_token >= response.queue_time


async def test_leaving_the_stream_closes_the_connection(inference: InferenceClient, torchserve: FakeTorchServe) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    async with aclosing(inference.stream(REQUEST, Call("request-1", time.monotonic()))) as events:
        await anext(events)
    await asyncio.wait_for(torchserve.turns[0].caller_left.wait(), 30)


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


async def test_a_worker_that_dies_in_mid_stream_is_told_from_a_complete_answer(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        turn.reset()

    torchserve.play = play
    assert isinstance(await failure_of(inference), WorkerDied)


async def test_an_answer_that_ends_cleanly_but_without_done_is_a_dead_worker(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])

    torchserve.play = play
    assert isinstance(await failure_of(inference), WorkerDied)


async def test_an_event_that_is_cut_short_is_a_dead_worker(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(answer_to(turn.request, "Hello")[0], b'data: {"type": "done", "resp')

    torchserve.play = play
    assert isinstance(await failure_of(inference), WorkerDied)


async def test_silence_before_the_first_event_lasts_as_long_as_the_model_is_ready(
    torchserve: FakeTorchServe, keys: FakeKeys
) -> None:
    looks = 0

    async def find_none_at_last(model: str, version: str) -> PinnedVersion:
        nonlocal looks
        assert (model, version) == ("tiny", "1.0")
        looks += 1
        if looks == 3:
            raise ModelNotReady("the worker is gone")
        return await find_a_worker(model, version)

    torchserve.play = Turn.wait_until_the_caller_leaves
    settings = Settings(torchserve_url=torchserve.url, silence_timeout=0.02)
    async with InferenceClient(settings, keys, find_none_at_last) as inference:
        assert isinstance(await failure_of(inference), ModelNotReady)
    assert looks == 3
    await asyncio.wait_for(torchserve.turns[0].caller_left.wait(), 30)


async def test_silence_between_events_has_a_deadline(torchserve: FakeTorchServe, keys: FakeKeys) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    async with InferenceClient(
        Settings(torchserve_url=torchserve.url, silence_timeout=0.1), keys, find_a_worker
    ) as inference:
        assert isinstance(await failure_of(inference), DeadlineExceeded)


async def test_a_torchserve_that_is_not_there_is_unavailable(keys: FakeKeys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with InferenceClient(Settings(torchserve_url=url), keys, find_a_worker) as inference:
        assert isinstance(await failure_of(inference), UpstreamUnavailable)


async def test_a_torchserve_that_goes_away_before_answering_is_unavailable(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        turn.reset()
        await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamUnavailable)


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
        await turn.fail(400, "InvalidKeyException", "Token Authorization failed. Token either incorrect, expired")

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamUnavailable)


async def test_the_key_is_not_read_again_for_each_request(inference: InferenceClient, keys: FakeKeys) -> None:
    await run(inference)
    await run(inference)
    assert keys.num_reads == 1


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        pytest.param(404, "Model not found: tiny", ModelNotFound, id="unknown model"),
        pytest.param(503, NO_WORKER_OR_QUEUE_FULL, Overloaded, id="queue full"),
        pytest.param(503, "Prediction failed", GenerationFailed, id="handler raised"),
    ],
)
async def test_a_failure_of_torchserve_is_translated(
    inference: InferenceClient,
    torchserve: FakeTorchServe,
    status: int,
    message: str,
    error: type[TorchbridgeError],
) -> None:
    async def play(turn: Turn) -> None:
        await turn.fail(status, "InternalServerException", message)

    torchserve.play = play
    assert type(await failure_of(inference)) is error


async def test_the_empty_413_of_torchserves_http_library_needs_no_id(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        await turn.answer(413, b"", "", has_id=False)

    torchserve.play = play
    assert isinstance(await failure_of(inference), PayloadTooLarge)


@pytest.mark.parametrize("status", [200, 302, 404, 503])
async def test_an_answer_without_an_id_is_not_torchserves(
    inference: InferenceClient, torchserve: FakeTorchServe, status: int
) -> None:
    async def play(turn: Turn) -> None:
        await turn.answer(status, b'{"message": "Prediction failed"}', "application/json", has_id=False)

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamProtocol)


async def test_a_success_that_is_no_event_stream_makes_no_sense(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        await turn.answer(200, b"error", "text/plain", has_id=True)

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamProtocol)


async def test_a_workers_error_event_is_raised_as_what_it_stands_for(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        problem = Problem.of(ErrorCode.PROMPT_TOO_LONG, "The prompt has 900 tokens, the context 512.")
        await turn.send(answer_to(turn.request)[0], ErrorEvent(problem=problem))

    torchserve.play = play
    failure = await failure_of(inference)
    assert isinstance(failure, PromptTooLong)
    assert failure.detail == "The prompt has 900 tokens, the context 512."
