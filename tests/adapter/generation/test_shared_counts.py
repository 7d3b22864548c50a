"""One canary over several gateways, on a real Redis."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from adapter.errors import GenerationFailed
from adapter.generation.canary import Canary
from adapter.generation.canary_rule import Counts, Rule, Tally
from adapter.generation.shared_counts import SharedCounts
from tests.adapter.generation.two_versions import ScriptedVersions
from tests.adapter.http.canary_gateway import Gateway
from tests.fakes import FakeManagement
from tests.redis_server import BINARY, RedisServer

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no redis-server on this machine")

OUTAGE = "Redis fails ({}): each gateway judges a canary by its own counts until it answers"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.generation.redis_calls._PATIENCE", 3.0)
    monkeypatch.setattr("adapter.generation.redis_calls._REST", 3_600.0)  # over only when a test says so
    monkeypatch.setattr("adapter.generation.shared_counts._SECONDS", 3_600)
    monkeypatch.setattr("adapter.generation.shared_counts._SEEN", 3_600)
    monkeypatch.setattr("adapter.control.canary_routes.CANARY_SECONDS", 3_600.0)


@pytest.fixture
async def gateways(server: RedisServer) -> AsyncIterator[list[SharedCounts]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(SharedCounts(server.url)) for _ in range(3)]


def canary(answers: int = 0, *, version: str = "2.0", rule: Rule = Rule()) -> Canary:  # noqa: B008 - it is a tuple
    made = Canary("tiny", version, "1.0", 0.05, is_sticky=False, is_shadow=False, rule=rule)
    made.canary_outcomes.num_answers = answers
    made.control_outcomes.num_answers = 10 * answers
    return made


def counted(answers: int) -> Counts:
    return Counts(Tally(answers, 0), Tally(10 * answers, 0), Tally(0, 0), Tally(0, 0))


async def test_each_gateway_has_the_sum_of_what_all_have_counted(gateways: list[SharedCounts]) -> None:
    first, second, _ = gateways
    one, other = canary(3), canary(4)
    assert (await first.add(one)).counts == counted(3)
    together = await second.add(other)
    assert (together.counts, together.num_gateways, together.id) == (counted(7), 2, one.id)
    assert await first.add(one) == together


async def test_what_is_added_twice_counts_once_and_what_has_grown_as_it_is_now(gateways: list[SharedCounts]) -> None:
    one = canary(3)
    for _ in range(2):
        assert (await gateways[0].add(one)).counts == counted(3)
    one.canary_outcomes.num_answers, one.control_outcomes.num_answers = 5, 50
    assert (await gateways[0].add(one)).counts == counted(5)


async def test_failures_and_pairs_are_added_too(gateways: list[SharedCounts]) -> None:
    one, other = canary(), canary()
    one.canary_outcomes.failures["internal"] += 2
    one.first_token.num_slower = 1
    other.control_outcomes.failures["internal"] += 1
    other.per_token.num_not_slower = 6
    await gateways[0].add(one)
    together = await gateways[1].add(other)
    assert together.counts == Counts(Tally(2, 2), Tally(1, 1), Tally(1, 1), Tally(6, 0))


async def test_a_gateway_that_does_not_try_it_knows_the_sum_as_well(gateways: list[SharedCounts]) -> None:
    one = canary(3)
    await gateways[0].add(one)
    found = await gateways[2].find("tiny")
    assert (found.counts, found.definition) == (counted(3), one.definition)
    assert await gateways[2].find("other") is None


@pytest.mark.parametrize(
    "other",
    [lambda: canary(4, version="3.0"), lambda: canary(4, rule=Rule(margin=0.1))],
    ids=["another version", "another rule"],
)
async def test_what_is_not_the_same_is_not_added(gateways: list[SharedCounts], other: Callable[[], Canary]) -> None:
    await gateways[0].add(canary(3))
    assert await gateways[1].add(other()) is None
    assert (await gateways[2].find("tiny")).counts == counted(3)


async def test_who_has_left_counts_as_long_as_others_go_on_and_then_it_begins_anew(
    gateways: list[SharedCounts],
) -> None:
    first, second, third = gateways
    one, other = canary(3), canary(4)
    await first.add(one)
    await second.add(other)
    await first.leave(one)
    assert (await second.add(other)).counts == counted(7)
    await second.leave(other)
    assert await third.find("tiny") is None
    assert (await third.add(canary(1))).counts == counted(1)


async def test_who_was_not_seen_for_a_while_keeps_nothing(
    gateways: list[SharedCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, killed = canary(3), canary(4)
    await gateways[1].add(killed)
    await gateways[0].add(one)
    monkeypatch.setattr("adapter.generation.shared_counts._SEEN", 0)
    await gateways[0].leave(one)
    assert await gateways[2].find("tiny") is None


async def test_it_goes_by_itself_when_no_gateway_adds_to_it(
    gateways: list[SharedCounts], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.generation.shared_counts._SECONDS", 15)
    await gateways[0].add(canary(3))
    assert 0 < await redis.ttl("torchbridge:canary:tiny") <= 15


async def test_a_redis_that_lost_all_has_it_again_from_those_that_go_on(
    gateways: list[SharedCounts], redis: Redis
) -> None:
    one, other = canary(3), canary(4)
    await gateways[0].add(one)
    await gateways[1].add(other)
    await redis.flushall()
    await gateways[1].add(other)
    assert (await gateways[0].add(one)).counts == counted(7)


async def test_what_somebody_else_wrote_there_is_nothing(
    gateways: list[SharedCounts], redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.hset("torchbridge:canary:tiny", "definition", "garbage")
    assert await gateways[0].find("tiny") is None
    assert caplog.messages == [OUTAGE.format("ValidationError")]


async def test_without_redis_there_is_no_sum_and_nothing_fails(
    gateways: list[SharedCounts], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    one = canary(3)
    await gateways[0].add(one)
    server.kill()
    assert [await gateways[0].add(one) for _ in range(3)] == [None] * 3
    await gateways[0].leave(one)
    assert await gateways[0].find("tiny") is None
    assert caplog.messages == [OUTAGE.format("ConnectionError")]


async def test_a_gateway_without_a_redis_has_no_sum() -> None:
    async with SharedCounts(None) as alone:
        assert await alone.add(canary(3)) is None
        await alone.leave(canary(3))
        assert await alone.find("tiny") is None


# Through whole gateways


@pytest.fixture
async def whole_gateways(server: RedisServer) -> AsyncIterator[list[Gateway]]:
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(3):
            management = FakeManagement({"tiny": {"1.0": 1, "2.0": 1}})
            made.append(Gateway(ScriptedVersions(), management, redis_url=server.url, cache_max_age=0))
            await stack.enter_async_context(made[-1].lifespan())
        yield made


async def test_what_one_gateway_has_counted_is_in_the_verdict_of_another(whole_gateways: list[Gateway]) -> None:
    first, second, third = whole_gateways
    await first.begin()
    await second.begin()
    await first.generate(100)
    await first.verdict()
    for gateway in (second, third):  # the third one does not try it, and a balancer may ask it all the same
        verdict = await gateway.verdict()
        assert (verdict["verdict"], verdict["scope"], verdict["gateways"]) == ("promote", "service", 2)
        assert verdict["canary"]["requests"] + verdict["control"]["requests"] == 100


async def test_what_fails_on_one_host_is_given_up_on_all(whole_gateways: list[Gateway]) -> None:
    first, second, _ = whole_gateways
    first.inference.scripts["2.0"] = [GenerationFailed("no")]
    await first.begin()
    await second.begin()
    await first.generate(60)
    await second.generate(5)
    await first.verdict()
    assert (await second.verdict())["verdict"] == "give up"


async def test_while_redis_is_gone_a_gateway_judges_alone(whole_gateways: list[Gateway], server: RedisServer) -> None:
    first, second, third = whole_gateways
    await first.begin()
    await second.begin()
    await first.generate(100)
    server.kill()
    verdicts = [await gateway.verdict() for gateway in (first, second)]
    assert [(each["verdict"], each["scope"]) for each in verdicts] == [("promote", "gateway"), ("go on", "gateway")]
    assert (await third.public.get("/canary/verdict")).status_code == 404
