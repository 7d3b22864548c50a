"""A request and its shadow are compared: their texts and their times."""

import asyncio
import time

import pytest

from adapter.call import Call
from adapter.errors import GenerationFailed
from adapter.generation import shadow
from adapter.schema import GenerationRequest
from tests.adapter.generation.held_generations import settle
from tests.adapter.generation.shadowed import GREEDY, answer, has_ended
from tests.adapter.generation.two_versions import REQUEST, TwoVersions
from tests.fakes import wait_for

SEEDED = GenerationRequest(prompt="Once", seed=1)


@pytest.mark.parametrize("request_", [GREEDY, SEEDED], ids=["greedy", "seeded"])
@pytest.mark.parametrize(("text", "num_equal"), [("Hello world", 1), ("Hello World", 0)])
async def test_the_same_request_may_have_another_text(
    two: TwoVersions, request_: GenerationRequest, text: str, num_equal: int
) -> None:
    two.inference.scripts["2.0"] = answer(text)
    tried = two.begin(is_shadow=True)
    await two.version_of(request_)
    await has_ended(two)
    assert (tried.num_compared, tried.num_equal) == (1, num_equal)


async def test_texts_that_chance_has_made_are_not_compared(two: TwoVersions) -> None:
    tried = two.begin(is_shadow=True)
    await two.version_of(REQUEST)
    await has_ended(two)
    assert (tried.canary_outcomes.num_answers, tried.num_compared) == (1, 0)


async def test_with_a_failure_there_is_nothing_to_compare(two: TwoVersions) -> None:
    two.inference.scripts["1.0"] = [GenerationFailed("no")]
    tried = two.begin(is_shadow=True)
    with pytest.raises(GenerationFailed):
        await two.version_of(GREEDY)
    await has_ended(two)
    assert (tried.canary_outcomes.num_answers, tried.num_compared) == (1, 0)


@pytest.mark.parametrize("told", ["first_token", "per_token"])
async def test_a_request_and_its_shadow_are_the_pair_that_is_compared(two: TwoVersions, told: str) -> None:
    tried = two.begin(is_shadow=True, max_slowdown=1_000.0)
    pairs = getattr(tried, told)
    for num_pairs in (1, 2):
        await two.version_of(REQUEST)
        await has_ended(two)
        pairs.settle()
        assert pairs.num_slower + pairs.num_not_slower == num_pairs


async def test_a_request_without_a_shadow_is_compared_with_none(two: TwoVersions) -> None:
    tried = two.begin(is_shadow=True, max_slowdown=1_000.0)
    two.traffic.hold("tiny", "2.0", 60)
    await two.versions_of(3)
    await has_ended(two)
    two.traffic.release("tiny", "2.0")
    await two.version_of()
    await has_ended(two)
    tried.first_token.settle()
    assert (tried.num_dropped, tried.first_token.num_slower + tried.first_token.num_not_slower) == (3, 1)


async def test_it_begins_at_a_moment_of_its_own(two: TwoVersions, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []

    def never(least: float, most: float) -> float:
        asked.append((least, most))
        return 1e9

    monkeypatch.setattr(shadow.random, "uniform", never)
    two.begin(is_shadow=True)
    async with two.generator.shadows:
        await two.version_of(of=Call("request-1", time.monotonic() - 100))
        await wait_for(lambda: asked)
        await settle()
        assert len(two.inference.requests) == 1
    assert asked == [(0, pytest.approx(100, abs=50))]
    assert asyncio.all_tasks() == {asyncio.current_task()}
