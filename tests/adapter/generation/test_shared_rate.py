"""One rate limit over several gateways, on a real Redis, which the tests start, kill, freeze and start again."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import cycle, islice

import httpx
import pytest
from redis.asyncio import Redis
from throttled import utils

from adapter.errors import RateLimited
from adapter.gateway import create_app
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.redis_calls import RedisCalls
from adapter.generation.shared_rate import SharedRate
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement
from tests.redis_server import BINARY, RedisServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no redis-server on this machine")

KEYS = {"web": "web-key-0123456789-abc", "batch": "batch-key-9876543210-xyz"}
LIMIT = 60  # a day, so that no slot comes free while a test runs
OUTAGE = "Redis fails ({}): each gateway counts its rate limit for itself until it answers"

Gateways = list[httpx.AsyncClient]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that runs other tests may stall for longer than a gateway would wait for Redis.
    monkeypatch.setattr("adapter.generation.redis_calls._PATIENCE", PATIENCE)
    monkeypatch.setattr("adapter.generation.redis_calls._REST", 3_600.0)  # over only when a test says so


@pytest.fixture
async def gateways(server: RedisServer) -> AsyncIterator[Gateways]:
    settings = Settings(
        rate_limit=f"{LIMIT}/day",
        redis_url=server.url,
        cache_max_age=0,
        api_keys=",".join(f"{name}:{key}" for name, key in KEYS.items()),
    )
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(gateway(settings)) for _ in range(4)]


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway of its own, inside of its lifespan."""
    app = create_app(settings, inference=FakeInference(), registry=ModelRegistry(FakeManagement(), default_model=None))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        yield client


async def statuses(gateways: Gateways, num_requests: int, caller: str = "web") -> Counter[int]:
    """Of requests of one caller, dealt out to the gateways in turn and sent side by side."""

    async def ask(client: httpx.AsyncClient) -> int:
        headers = {"authorization": f"Bearer {KEYS[caller]}"}
        return (await client.post("/generate", json={"prompt": "Once"}, headers=headers)).status_code

    return Counter(await asyncio.gather(*map(ask, islice(cycle(gateways), num_requests))))


def let_them_try_again(calls: list[RedisCalls]) -> None:
    for each in calls:
        assert each._rests_until > time.monotonic()
        each._rests_until = time.monotonic()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[RedisCalls]:
    """Of each SharedRate that is made after this."""
    made: list[RedisCalls] = []
    make = SharedRate.__init__

    def note(shared: SharedRate, limit: str, redis_url: str) -> None:
        make(shared, limit, redis_url)
        made.append(shared._calls)

    monkeypatch.setattr(SharedRate, "__init__", note)
    return made


async def test_four_gateways_admit_together_what_one_would(gateways: Gateways) -> None:
    assert await statuses(gateways, 4 * LIMIT) == {200: LIMIT, 429: 3 * LIMIT}


async def test_each_caller_has_a_limit_of_its_own(gateways: Gateways) -> None:
    assert await statuses(gateways, 2 * LIMIT, "web") == {200: LIMIT, 429: LIMIT}
    assert await statuses(gateways, 2 * LIMIT, "batch") == {200: LIMIT, 429: LIMIT}


async def test_redis_sees_neither_a_key_nor_a_callers_name(gateways: Gateways, redis: Redis) -> None:
    await statuses(gateways, 4)
    [key] = await redis.keys()
    assert re.fullmatch(rb"torchbridge:rate:v1:gcra:[0-9a-f]{64}", key)


async def test_what_is_counted_goes_when_all_slots_are_free_again(gateways: Gateways, redis: Redis) -> None:
    await statuses(gateways, 4)
    [key] = await redis.keys()
    assert 0 < await redis.ttl(key) <= 4 * 24 * 60 * 60 / LIMIT + 1


async def test_the_clock_is_that_of_redis(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with RateLimiter("1/day", server.url) as one, RateLimiter("1/day", server.url) as other:
        await one.admit("web")
        monkeypatch.setattr(utils, "now_mono_f", lambda: 1e9)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        with pytest.raises(RateLimited, match=r"in 8(6400|63\d\d) s") as refused:
            await other.admit("web")
    assert refused.value.retry_after == 60


async def test_who_is_refused_takes_no_slot(server: RedisServer) -> None:
    async with RateLimiter("1/second burst 1", server.url) as one, RateLimiter("1/second burst 1", server.url) as other:
        await one.admit("web")
        for _ in range(5):
            with suppress(RateLimited):
                await other.admit("web")
        # Each refusal would else have put the next slot off by a second.
        async with asyncio.timeout(PATIENCE):
            while not await is_admitted(other):  # noqa: ASYNC110 - Redis's clock brings it about
                await asyncio.sleep(0.05)


async def is_admitted(limiter: RateLimiter) -> bool:
    try:
        await limiter.admit("web")
    except RateLimited:
        return False
    return True


# While Redis does not answer


async def test_without_redis_each_gateway_counts_for_itself_and_with_it_again_all_together(
    calls: list[RedisCalls], gateways: Gateways, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert await statuses(gateways, LIMIT // 2) == {200: LIMIT // 2}
    server.kill()
    # Of its own limit each has left what it has not let in before.
    assert await statuses(gateways, 8 * LIMIT) == {200: 4 * LIMIT - LIMIT // 2, 429: 4 * LIMIT + LIMIT // 2}
    assert [line for line in caplog.messages if "fails" in line] == [OUTAGE.format("ConnectionError")] * 4
    server.start()
    let_them_try_again(calls)
    for each in gateways:  # the first one tries, and those beside it would not wait for it
        await statuses([each], 1)
    assert await statuses(gateways, 4 * LIMIT) == {200: LIMIT - 4, 429: 3 * LIMIT + 4}


async def test_a_redis_that_hangs_holds_nobody(
    gateways: Gateways,
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await statuses(gateways, 4) == {200: 4}
    monkeypatch.setattr("adapter.generation.redis_calls._PATIENCE", 0.05)
    server.freeze()
    async with asyncio.timeout(PATIENCE):
        assert await statuses(gateways, 4) == {200: 4}
    # From here on nobody asks it: whoever did would wait for ever.
    monkeypatch.setattr("adapter.generation.redis_calls._PATIENCE", None)
    async with asyncio.timeout(PATIENCE):
        assert await statuses(gateways, 40) == {200: 40}
    assert [line for line in caplog.messages if "fails" in line] == [OUTAGE.format("TimeoutError")] * 4


async def test_a_redis_that_refuses_is_as_good_as_none(
    gateways: Gateways, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.config_set("maxmemory", 1)
    assert await statuses(gateways, 8 * LIMIT) == {200: 4 * LIMIT, 429: 4 * LIMIT}
    assert len([line for line in caplog.messages if line.startswith("Redis fails")]) == 4


async def test_a_wrong_password_is_no_failure_and_no_secret_is_logged(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with RateLimiter("2/day", server.url.replace("secret", "wr0ng")) as limiter:
        assert [await is_admitted(limiter) for _ in range(3)] == [True, True, False]
    assert OUTAGE.format("AuthenticationError") in caplog.messages
    assert "wr0ng" not in caplog.text


async def test_a_redis_that_was_restarted_is_asked_on(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with RateLimiter("2/day", server.url) as limiter:
        assert await is_admitted(limiter)
        server.kill()
        server.start()
        assert [await is_admitted(limiter) for _ in range(3)] == [True, True, False]
    assert not [line for line in caplog.messages if "fails" in line]
