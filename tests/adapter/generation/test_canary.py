"""Which requests a canary takes, and what is counted of them, through the generator that they all pass."""

import asyncio
import random
from contextlib import aclosing

import pytest

from adapter.errors import (
    Conflict,
    GenerationFailed,
    NotFound,
    PromptTooLong,
    UpstreamUnavailable,
    VersionNotFound,
    WorkerDied,
)
from adapter.generation.batch import complete_batch
from adapter.generation.canary import Canaries, Canary
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import MemoryStore
from adapter.schema import BatchRequest, GenerationRequest
from tests.adapter.generation.held_generations import settle
from tests.adapter.generation.two_versions import REQUEST, TwoVersions, call
from tests.fakes import wait_for

GREEDY = GenerationRequest(prompt="Once", temperature=0)
USERS = [f"user-{number}" for number in range(2_000)]


@pytest.fixture
def two() -> TwoVersions:
    random.seed(20260801)
    return TwoVersions()


def canary(share: float, *, version: str = "2.0", is_sticky: bool = True) -> Canary:
    return Canary("tiny", version, "1.0", share, is_sticky=is_sticky, is_shadow=False)


def users_of(tried: Canary) -> set[str]:
    return {user for user in USERS if tried.chooses(user, lot=0.999)}


# Whom it takes


@pytest.mark.parametrize("share", [0.05, 0.5])
async def test_at_random_it_takes_its_share(two: TwoVersions, share: float) -> None:
    two.begin(share)
    num_chosen = (await two.versions_of(1_000))["2.0"]
    assert abs(num_chosen - 1_000 * share) < 4 * (1_000 * share * (1 - share)) ** 0.5


def test_of_the_users_it_takes_its_share() -> None:
    assert len(users_of(canary(0.05))) == pytest.approx(100, abs=40)
    assert len(users_of(canary(0.2))) == pytest.approx(400, abs=75)


def test_whoever_is_of_a_small_share_is_of_a_larger_one() -> None:
    assert users_of(canary(0.05)) < users_of(canary(0.2)) < users_of(canary(1.0)) == set(USERS)


def test_the_users_of_another_version_are_others() -> None:
    assert len(users_of(canary(0.1)) & users_of(canary(0.1, version="3.0"))) < 60


@pytest.mark.parametrize(("user", "is_sticky"), [(None, True), ("", True), ("somebody", False)])
def test_without_a_user_or_without_stickiness_it_is_the_lot_that_chooses(user: str | None, *, is_sticky: bool) -> None:
    tried = canary(0.5, is_sticky=is_sticky)
    assert tried.chooses(user, lot=0.4)
    assert not tried.chooses(user, lot=0.6)


async def test_a_user_stays_on_one_side(two: TwoVersions) -> None:
    tried = two.begin(0.5, is_sticky=True)
    inside, outside = (next(user for user in USERS if tried.chooses(user, 0.9) is side) for side in (True, False))
    assert await two.versions_of(20, call(user=inside)) == {"2.0": 20}
    assert await two.versions_of(20, call(user=outside)) == {"1.0": 20}


async def test_requests_of_a_batch_are_chosen_one_by_one_and_those_of_a_user_alike(two: TwoVersions) -> None:
    two.begin(0.5, is_sticky=True)
    batch = BatchRequest(requests=[REQUEST] * 8)
    for of, num_versions in ((call(), 2), (call(user="somebody"), 1)):
        answers = await complete_batch(two.generator, batch, of, max_requests=8)
        assert len({answer.model_version for answer in answers.results}) == num_versions


async def test_a_version_that_is_named_is_the_one_that_answers(two: TwoVersions) -> None:
    tried = two.begin()
    assert await two.version_of(REQUEST.model_copy(update={"model_version": "1.0"})) == "1.0"
    assert (tried.canary_outcomes.num_answers, tried.control_outcomes.num_answers) == (0, 0)
    assert await two.version_of(REQUEST.model_copy(update={"model": "tiny"})) == "2.0"


async def test_another_model_is_not_touched(two: TwoVersions) -> None:
    two.management.served["other"] = {"1.0": 1, "2.0": 1}
    two.begin()
    assert await two.version_of(REQUEST.model_copy(update={"model": "other"})) == "1.0"


async def test_once_another_version_is_the_default_there_is_nothing_to_compare(two: TwoVersions) -> None:
    tried = two.begin()
    two.management.served["tiny"] = {"3.0": 1, "1.0": 1, "2.0": 1}
    assert await two.version_of() == "3.0"
    assert (tried.canary_outcomes.num_answers, tried.control_outcomes.num_answers) == (0, 0)


# When the version is not there


@pytest.mark.parametrize("served", [{"1.0": 1, "2.0": 0}, {"1.0": 1}], ids=["no worker", "unregistered"])
async def test_a_version_that_cannot_answer_leaves_it_to_the_default_and_has_failed(
    two: TwoVersions, served: dict[str, int]
) -> None:
    two.management.served["tiny"] = served
    tried = two.begin()
    assert await two.versions_of(3) == {"1.0": 3}
    assert (tried.num_fallbacks, tried.canary_outcomes.failures) == (3, {"model_not_ready": 3})
    assert tried.control_outcomes.num_answers == 0


async def test_a_version_that_disappears_under_a_request_leaves_it_to_the_default(two: TwoVersions) -> None:
    async def disappear() -> None:
        two.management.served["tiny"] = {"1.0": 1}
        raise VersionNotFound("gone")

    two.begin()
    two.inference.scripts["2.0"] = [disappear]
    assert await two.version_of() == "1.0"
    assert [request.model_version for request in two.inference.requests] == ["2.0", "1.0"]


async def test_a_held_version_keeps_its_requests_until_it_is_released(two: TwoVersions) -> None:
    two.begin()
    two.traffic.hold("tiny", "2.0", 60)
    waiting = asyncio.create_task(two.version_of())
    await wait_for(lambda: two.traffic.of("tiny", "2.0").num_held)
    two.traffic.release("tiny", "2.0")
    assert await waiting == "2.0"


# What is counted


async def test_each_side_counts_its_own(two: TwoVersions) -> None:
    tried = two.begin(0.5)
    versions = await two.versions_of(40)
    assert (tried.canary_outcomes.num_answers, tried.control_outcomes.num_answers) == (versions["2.0"], versions["1.0"])
    assert min(versions.values()) > 0
    assert tried.canary_outcomes.time_to_first_token is not None
    assert tried.canary_outcomes.time_per_token is not None


async def test_a_failure_is_one_although_the_retry_heals_it(two: TwoVersions) -> None:
    async def die_once() -> None:
        two.inference.scripts.clear()
        raise WorkerDied("died")

    tried = two.begin()
    two.inference.scripts["2.0"] = [die_once]
    assert await two.version_of() == "2.0"
    assert (tried.canary_outcomes.failures, tried.canary_outcomes.num_answers) == ({"worker_died": 1}, 1)


async def test_a_retry_stays_on_the_side_of_the_first_attempt(two: TwoVersions) -> None:
    two.begin(0.5)
    two.inference.scripts = {"1.0": [UpstreamUnavailable("no")], "2.0": [UpstreamUnavailable("no")]}
    for _ in range(3):
        del two.inference.requests[:]
        with pytest.raises(UpstreamUnavailable):
            await two.version_of()
        versions = [request.model_version for request in two.inference.requests]
        assert len(versions) == 3
        assert len(set(versions)) == 1


async def test_a_retry_that_finds_no_worker_is_healed_by_the_default_and_counts_no_second_failure(
    two: TwoVersions,
) -> None:
    async def die() -> None:
        two.management.served["tiny"]["2.0"] = 0
        await two.generator._registry.served_anew()
        raise WorkerDied("died")

    tried = two.begin()
    two.inference.scripts["2.0"] = [die]
    assert await two.version_of() == "1.0"
    assert (tried.canary_outcomes.failures, tried.num_fallbacks) == ({"worker_died": 1}, 0)


async def test_streams_are_counted_and_one_that_is_left_is_no_trial(two: TwoVersions) -> None:
    tried = two.begin()
    async with aclosing(two.generator.stream(REQUEST, call())) as arrivals:
        await anext(arrivals)
    assert (tried.canary_outcomes.num_answers, tried.canary_outcomes.num_cut, tried.canary_outcomes.failures) == (
        0,
        1,
        {},
    )
    async for _ in two.generator.stream(REQUEST, call()):
        pass
    assert (tried.canary_outcomes.num_answers, tried.canary_outcomes.num_cut) == (1, 1)


async def test_what_is_wrong_with_a_request_is_no_failure_of_the_version(two: TwoVersions) -> None:
    tried = two.begin()
    two.inference.scripts["2.0"] = [PromptTooLong("too long")]
    with pytest.raises(PromptTooLong):
        await two.version_of()
    assert (tried.canary_outcomes.num_answers, tried.canary_outcomes.failures) == (0, {})


async def test_answers_from_the_cache_are_no_trials() -> None:
    async with ResponseCache(MemoryStore(max_bytes=10_000, max_age=60)) as cache:
        two = TwoVersions(cache=cache)
        tried = two.begin()
        for _ in range(3):
            assert await two.version_of(GREEDY) == "2.0"
    assert (len(two.inference.requests), tried.canary_outcomes.num_answers) == (1, 1)


async def test_a_run_that_several_follow_fails_once() -> None:
    failing = asyncio.Event()

    async def fail() -> None:
        await failing.wait()
        raise GenerationFailed("no")

    async with ResponseCache(MemoryStore(max_bytes=10_000, max_age=60)) as cache:
        two = TwoVersions(cache=cache)
        tried = two.begin()
        two.inference.scripts["2.0"] = [fail]
        following = [asyncio.create_task(two.version_of(GREEDY)) for _ in range(3)]
        await wait_for(lambda: two.traffic.of("tiny", "2.0").num_live == 3)
        await settle()
        failing.set()
        ends = await asyncio.gather(*following, return_exceptions=True)
    assert [type(end) for end in ends] == [GenerationFailed] * 3
    assert tried.canary_outcomes.failures == {"generation_failed": 1}


# Which is faster


async def test_requests_on_either_side_are_compared_where_their_prompts_are_about_as_long(two: TwoVersions) -> None:
    # No pause of the machine is that many times as long as an answer of the fake, which takes microseconds.
    tried = two.begin(0.5, is_sticky=True, max_slowdown=1e9)
    inside, outside = (next(user for user in USERS if tried.chooses(user, 0.9) is side) for side in (True, False))
    compared = []
    for user, num_characters in ((inside, 1_000), (outside, 100), (outside, 900), (inside, 120), (outside, 70)):
        await two.version_of(GenerationRequest(prompt="x" * num_characters), call(user=user))
        tried.first_token.settle()
        tried.per_token.settle()
        compared.append((tried.first_token.num_not_slower, tried.per_token.num_not_slower))
    assert compared == [(0, 0), (0, 0), (1, 1), (1, 1), (2, 2)]


async def test_a_slowdown_that_nobody_asks_for_is_not_looked_at(two: TwoVersions) -> None:
    tried = two.begin(0.5)
    await two.versions_of(20)
    assert (tried.first_token, tried.per_token) == (None, None)


# How long it lasts


async def test_one_that_is_not_renewed_ends_and_all_goes_to_the_default(two: TwoVersions) -> None:
    tried = two.begin(seconds=0)
    assert await two.versions_of(3) == {"1.0": 3}
    with pytest.raises(NotFound):
        two.canaries.renew(tried.id, 60)


async def test_one_that_is_renewed_goes_on_and_one_that_is_ended_does_not(two: TwoVersions) -> None:
    tried = two.begin(seconds=60)
    ends_at = tried.ends_at
    assert two.canaries.renew(tried.id, 120) is tried
    assert tried.ends_at > ends_at
    assert await two.version_of() == "2.0"
    two.canaries.end(tried.id)
    assert await two.version_of() == "1.0"


def test_a_model_has_one_at_a_time() -> None:
    canaries = Canaries()
    canaries.begin(canary(0.1), 60)
    with pytest.raises(Conflict):
        canaries.begin(canary(0.2, version="3.0"), 60)
    canaries.begin(Canary("other", "2.0", "1.0", 0.1, is_sticky=False, is_shadow=False), 60)


def test_ending_one_that_is_over_leaves_its_successor_alone() -> None:
    canaries = Canaries()
    first, second = canary(0.1), canary(0.2)
    canaries.begin(first, 0)
    canaries.begin(second, 60)
    canaries.end(first.id)
    assert canaries.of("tiny") is second
