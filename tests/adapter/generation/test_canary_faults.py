"""Whose doing it was that a request ended without an answer: a canary counts the version's only."""

import asyncio
from contextlib import aclosing

import pytest

from adapter.call import Call
from adapter.errors import (
    DeadlineExceeded,
    ModelNotReady,
    Overloaded,
    TorchbridgeError,
    UpstreamProtocol,
    UpstreamUnavailable,
    WorkerDied,
)
from adapter.generation.canary import Canary
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import MemoryStore
from adapter.schema import GenerationRequest
from tests.adapter.generation.generators import FIRST, START
from tests.adapter.generation.two_versions import REQUEST, TwoVersions, call, hurried_call, limited_call
from tests.fakes import wait_for
from tests.held_clock import HeldClock

GREEDY = GenerationRequest(prompt="Once", temperature=0)
LIMIT = 30  # seconds, by the held clock


@pytest.fixture
def tried(two: TwoVersions) -> Canary:
    return two.begin()


async def hang() -> None:
    await asyncio.Event().wait()


def expect(tried: Canary, *, num_cut: int = 0, **failures: int) -> None:
    assert (tried.canary_outcomes.failures, tried.canary_outcomes.num_cut, tried.canary_outcomes.num_answers) == (
        failures,
        num_cut,
        0,
    )


# Deadlines


async def let_it_run_out(two: TwoVersions, clock: HeldClock, of: Call) -> None:
    """Of time, while the version has the request."""
    two.inference.scripts["2.0"] = [hang]
    running = asyncio.create_task(two.version_of(of=of))
    await wait_for(lambda: two.inference.requests)
    await clock.pass_by(LIMIT)
    with pytest.raises(DeadlineExceeded):
        await running


async def test_a_version_that_does_not_keep_the_operators_limit_has_failed(
    clock: HeldClock, two: TwoVersions, tried: Canary
) -> None:
    await let_it_run_out(two, clock, limited_call(LIMIT))
    expect(tried, deadline_exceeded=1)


async def test_a_version_that_does_not_keep_its_callers_own_limit_has_not(
    clock: HeldClock, two: TwoVersions, tried: Canary
) -> None:
    await let_it_run_out(two, clock, hurried_call(LIMIT))
    expect(tried, num_cut=1)


async def test_a_version_that_is_silent_has_failed_whatever_its_caller_allows(two: TwoVersions, tried: Canary) -> None:
    two.inference.scripts["2.0"] = [DeadlineExceeded("The model server has been silent for too long.")]
    with pytest.raises(DeadlineExceeded):
        await two.version_of(of=hurried_call(60))
    expect(tried, deadline_exceeded=1)


async def test_whose_time_runs_out_in_the_queue_never_was_the_versions(
    clock: HeldClock, two: TwoVersions, tried: Canary
) -> None:
    two.management.slots = 1
    two.inference.scripts["2.0"] = [hang]
    running = asyncio.create_task(two.version_of())
    await wait_for(lambda: two.generator._admission.queue("tiny", "2.0") == (0, 1))
    waiting = asyncio.create_task(two.version_of(of=limited_call(LIMIT)))
    await wait_for(lambda: two.generator._admission.queue("tiny", "2.0") == (1, 1))
    await clock.pass_by(LIMIT)
    with pytest.raises(DeadlineExceeded):
        await waiting
    assert len(two.inference.requests) == 1
    expect(tried)
    running.cancel()
    await asyncio.wait({running})


async def test_whose_time_runs_out_before_a_held_version_never_was_its(
    clock: HeldClock, two: TwoVersions, tried: Canary
) -> None:
    two.traffic.hold("tiny", "2.0", 2 * LIMIT)
    waiting = asyncio.create_task(two.version_of(of=limited_call(LIMIT)))
    await wait_for(lambda: two.traffic.of("tiny", "2.0").num_held)
    await clock.pass_by(LIMIT)
    with pytest.raises(DeadlineExceeded):
        await waiting
    assert two.inference.requests == []
    expect(tried)


async def test_a_caller_that_is_too_slow_to_read_is_no_failure(
    clock: HeldClock, two: TwoVersions, tried: Canary
) -> None:
    two.inference.scripts["2.0"] = [START, FIRST, hang]
    async with aclosing(two.generator.stream(REQUEST, limited_call(LIMIT))) as arrivals:
        await anext(arrivals)
        await clock.pass_by(LIMIT)
        with pytest.raises(DeadlineExceeded):
            await anext(arrivals)
    expect(tried, num_cut=1)


async def test_a_run_that_others_follow_is_not_failed_by_who_started_it(clock: HeldClock) -> None:
    async with ResponseCache(MemoryStore(max_bytes=10_000, max_age=60)) as cache:
        two = TwoVersions(cache=cache)
        tried = two.begin()
        two.inference.scripts["2.0"] = [hang]
        starting = asyncio.create_task(two.version_of(GREEDY, hurried_call(LIMIT)))
        following = asyncio.create_task(two.version_of(GREEDY))
        await wait_for(lambda: two.inference.requests)
        await clock.pass_by(LIMIT)
        with pytest.raises(DeadlineExceeded):
            await starting
        assert (len(two.inference.requests), two.inference.num_closed) == (1, 0)
        expect(tried, num_cut=1)
        following.cancel()
        await asyncio.wait({following})


# TorchServe and workers


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_torchserve_as_a_whole_is_nobodys_fault(two: TwoVersions, version: str) -> None:
    tried = two.begin(1.0 if version == "2.0" else 1e-9)
    two.inference.scripts[version] = [UpstreamUnavailable("no")]
    with pytest.raises(UpstreamUnavailable):
        await two.version_of()
    assert {request.model_version for request in two.inference.requests} == {version}
    for side in (tried.canary_outcomes, tried.control_outcomes):
        assert (side.failures, side.num_answers, side.num_cut) == ({}, 0, 0)


async def test_a_version_whose_worker_has_gone_has_failed_where_torchserve_speaks_of_a_full_queue(
    two: TwoVersions, tried: Canary
) -> None:
    async def lose_the_worker() -> None:
        two.management.served["tiny"]["2.0"] = 0
        raise Overloaded("The model's queue is full.")

    two.inference.scripts["2.0"] = [lose_the_worker]
    assert await two.version_of() == "1.0"  # at the second try
    expect(tried, model_not_ready=1)


async def test_a_full_queue_is_a_limit(two: TwoVersions, tried: Canary) -> None:
    two.inference.scripts["2.0"] = [Overloaded("The model's queue is full.")]
    with pytest.raises(Overloaded):
        await two.version_of()
    expect(tried)


async def test_an_answer_without_an_end_is_the_versions(two: TwoVersions, tried: Canary) -> None:
    two.inference.scripts["2.0"] = [START, FIRST]
    with pytest.raises(UpstreamProtocol):
        await two.version_of()
    expect(tried, upstream_protocol=1)


async def test_a_default_without_a_worker_fails_what_is_not_the_canarys_and_each_request_once(
    two: TwoVersions,
) -> None:
    tried = two.begin(0.5, is_sticky=True)
    inside, outside = (
        next(user for user in map(str, range(1_000)) if tried.chooses(user, 0.9) is side) for side in (True, False)
    )
    two.management.served["tiny"]["1.0"] = 0
    for user in (inside, outside, outside):
        with pytest.raises(ModelNotReady):
            await two.version_of(of=call(user=user))
    assert two.inference.requests == []
    assert (tried.control_outcomes.failures, tried.canary_outcomes.failures) == ({"model_not_ready": 2}, {})


async def test_a_named_version_without_a_worker_is_not_the_defaults_failure(two: TwoVersions) -> None:
    tried = two.begin(1e-9)
    two.management.served["tiny"]["1.0"] = 0
    with pytest.raises(ModelNotReady):
        await two.version_of(REQUEST.model_copy(update={"model_version": "1.0"}))
    assert tried.control_outcomes.failures == {}


async def test_a_canary_of_which_nobody_knows_whether_it_is_ready_has_not_failed(
    two: TwoVersions, tried: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = two.generator._registry.resolve

    async def fail_for_the_canary(model: str | None, version: str | None) -> object:
        if version == "2.0":
            raise UpstreamUnavailable("no management")
        return await resolve(model, version)

    monkeypatch.setattr(two.generator._registry, "resolve", fail_for_the_canary)
    assert await two.version_of() == "1.0"
    assert (tried.num_fallbacks, tried.canary_outcomes.failures) == (0, {})


@pytest.mark.parametrize("failure", [WorkerDied("died"), UpstreamUnavailable("no")], ids=repr)
async def test_what_the_default_fails_in_a_canarys_place_is_no_trial_of_it(
    two: TwoVersions, tried: Canary, failure: TorchbridgeError
) -> None:
    two.management.served["tiny"]["2.0"] = 0
    two.inference.scripts["1.0"] = [failure]
    with pytest.raises(type(failure)):
        await two.version_of()
    assert (tried.canary_outcomes.failures, tried.control_outcomes.failures) == ({"model_not_ready": 1}, {})
