"""However an answer fails or breaks off, the caller hears which failure it was."""

import asyncio

import pytest

from adapter.errors import (
    DeadlineExceeded,
    ModelNotReady,
    PayloadTooLarge,
    PromptTooLong,
    UpstreamLost,
    UpstreamProtocol,
    UpstreamUnavailable,
    WorkerDied,
    WorkerSilent,
)
from adapter.schema import ErrorCode, ErrorEvent, Problem
from adapter.settings import Settings
from adapter.simulator.torchserve_failures import TORCHSERVE_FAILURES
from adapter.torchserve import worker_search
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.served_models import PinnedVersion
from tests.adapter.torchserve.inference_calls import failure_of, run
from tests.fakes import (
    HEADERS_OF_A_FAILURE,
    FakeKeys,
    FakeTorchServe,
    Turn,
    answer_to,
    find_a_worker,
    play_hello,
    wait_for,
)
from tests.free_ports import free_port
from tests.recorded_answer import recorded
from tests.waiting import PATIENCE

TOO_LARGE = recorded("inference/request_too_large")


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
            await torchserve.wait_for_turn()
            raise ModelNotReady("the worker is gone")
        return await find_a_worker(model, version)

    torchserve.play = Turn.wait_until_the_caller_leaves
    settings = Settings(torchserve_url=torchserve.url, silence_timeout=0.02)
    async with InferenceClient(settings, keys, find_none_at_last) as inference:
        assert isinstance(await failure_of(inference), ModelNotReady)
    assert looks == 3
    await asyncio.wait_for(torchserve.turns[0].caller_left.wait(), 30)


async def test_a_request_that_a_later_one_has_overtaken_is_forgotten(
    torchserve: FakeTorchServe, keys: FakeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many others wait in TorchServe's queue: under load it is never seen empty."""
    looks = 0

    async def find(model: str, version: str) -> PinnedVersion:
        nonlocal looks
        looks += 1
        return await find_a_worker(model, version)

    async def forget_the_first(turn: Turn) -> None:
        if turn is torchserve.turns[0]:
            await turn.wait_until_the_caller_leaves()
        await play_hello(turn)

    monkeypatch.setattr(worker_search, "_SECONDS_TO_BE_TAKEN", 0.02)
    torchserve.play = forget_the_first
    settings = Settings(torchserve_url=torchserve.url, silence_timeout=0.02)
    async with InferenceClient(settings, keys, find, is_queue_empty=lambda *_: False) as inference:
        forgotten = asyncio.create_task(failure_of(inference))
        await wait_for(lambda: torchserve.turns and looks > 3)
        assert not forgotten.done()
        await run(inference)
        assert isinstance(await asyncio.wait_for(forgotten, PATIENCE), WorkerSilent)


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
    url = f"http://127.0.0.1:{free_port()}"
    async with InferenceClient(Settings(torchserve_url=url), keys, find_a_worker) as inference:
        assert isinstance(await failure_of(inference), UpstreamUnavailable)


async def test_a_torchserve_that_goes_away_before_answering_is_unavailable(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        turn.reset()
        await turn.wait_until_the_caller_leaves()

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamLost)


async def test_what_could_not_be_sent_waits_for_the_worker_and_is_sent_then(
    torchserve: FakeTorchServe, keys: FakeKeys
) -> None:
    waits: list[tuple[str, str]] = []

    async def wait_for_a_worker(model: str, version: str) -> PinnedVersion:
        waits.append((model, version))
        settings.__dict__["torchserve_url"] = torchserve.url
        return await find_a_worker(model, version)

    settings = Settings(torchserve_url=f"http://127.0.0.1:{free_port()}")
    async with InferenceClient(settings, keys, find_a_worker, wait_for_a_worker) as inference:
        events = await run(inference)

    assert (waits, len(torchserve.turns), events[-1].type) == ([("tiny", "1.0")], 1, "done")


@pytest.mark.parametrize("code", [ErrorCode.MODEL_NOT_FOUND, ErrorCode.VERSION_NOT_FOUND])
async def test_a_version_that_is_not_there_yet_after_a_restart_is_waited_for(
    torchserve: FakeTorchServe, keys: FakeKeys, code: ErrorCode
) -> None:
    async def play(turn: Turn) -> None:
        if len(torchserve.turns) == 1:
            turn.fail(code)
        else:
            await play_hello(turn)

    torchserve.play = play
    async with InferenceClient(Settings(torchserve_url=torchserve.url), keys, find_a_worker) as inference:
        assert (await run(inference))[-1].type == "done"


async def test_a_request_that_waits_in_the_queue_of_a_worker_that_starts_again_stays_there(
    torchserve: FakeTorchServe, keys: FakeKeys
) -> None:
    is_waited_for, is_ready = asyncio.Event(), asyncio.Event()

    async def never(*_: str) -> PinnedVersion:
        is_waited_for.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def play(turn: Turn) -> None:
        await is_ready.wait()
        await play_hello(turn)

    torchserve.play = play
    settings = Settings(torchserve_url=torchserve.url, silence_timeout=0.02)
    async with InferenceClient(settings, keys, find_a_worker, never) as inference:
        running = asyncio.create_task(run(inference))
        await is_waited_for.wait()
        is_ready.set()
        assert (await running)[-1].type == "done"
    assert len(torchserve.turns) == 1


@pytest.mark.parametrize("code", TORCHSERVE_FAILURES)
async def test_a_failure_of_torchserve_is_translated(
    inference: InferenceClient, torchserve: FakeTorchServe, code: ErrorCode
) -> None:
    async def play(turn: Turn) -> None:
        turn.fail(code)

    torchserve.play = play
    assert (await failure_of(inference)).code is code


async def test_the_empty_413_of_torchserves_http_library_needs_no_id(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        turn.answer(TOO_LARGE.status, TOO_LARGE.body, TOO_LARGE.headers)

    torchserve.play = play
    assert isinstance(await failure_of(inference), PayloadTooLarge)


@pytest.mark.parametrize("status", [200, 302, 404, 503])
async def test_an_answer_without_an_id_is_not_torchserves(
    inference: InferenceClient, torchserve: FakeTorchServe, status: int
) -> None:
    async def play(turn: Turn) -> None:
        turn.answer(status, b'{"message": "Prediction failed"}', {"content-type": "application/json"})

    torchserve.play = play
    assert isinstance(await failure_of(inference), UpstreamProtocol)


async def test_a_success_that_is_no_event_stream_makes_no_sense(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        turn.answer(200, b"error", {**HEADERS_OF_A_FAILURE, "content-type": "text/plain"})

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
