"""On a real Redis, which the tests start, kill, freeze and start again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from adapter.call import Call
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import RedisStore
from adapter.schema import GenerationRequest
from adapter.torchserve.served_models import PinnedVersion
from tests.adapter.generation.held_generations import ANSWER, TEXT, HeldGenerations, text_of
from tests.redis_server import BINARY, RedisServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no redis-server on this machine")

PINNED = PinnedVersion("tiny", "1.0", 4, frozenset({(11, "noon")}))
ASKED = GenerationRequest(prompt="a secret prompt", temperature=0, model="tiny", model_version="1.0")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that runs other tests may stall for longer than a gateway would wait for Redis.
    monkeypatch.setattr("adapter.generation.redis_calls._PATIENCE", 3.0)


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url, max_age=60)
    yield store
    await store.aclose()


@pytest.fixture
async def gateways(server: RedisServer) -> AsyncIterator[list[ResponseCache]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(ResponseCache(RedisStore(server.url, max_age=60))) for _ in range(2)]


async def ask(cache: ResponseCache, asked: GenerationRequest = ASKED) -> str:
    """What the cache says that it did."""
    call = Call("request-1", time.monotonic())
    assert await text_of(cache.stream(PINNED, asked, call, HeldGenerations(*ANSWER).run)) == TEXT
    for run in list(cache._runs.values()):
        await run.stop()
    return call.cache.status.partition(";")[0]


def let_it_try_again(store: RedisStore) -> None:
    assert store._calls._rests_until > time.monotonic()
    store._calls._rests_until = time.monotonic()


async def test_what_was_put_is_found(store: RedisStore) -> None:
    assert await store.get("key") is None
    await store.put("key", b"answer")
    assert await store.get("key") == b"answer"


async def test_an_answer_goes_when_it_is_too_old(store: RedisStore, redis: Redis) -> None:
    await store.put("key", b"answer")
    assert 0 < await redis.pttl("torchbridge:response:key") <= 60_000


async def test_many_at_once_share_a_few_connections(store: RedisStore, redis: Redis) -> None:
    await store.put("key", b"answer")
    assert await asyncio.gather(*(store.get("key") for _ in range(200))) == [b"answer"] * 200
    assert len(await redis.client_list()) <= 16 + 1


async def test_gateways_share_answers(gateways: list[ResponseCache]) -> None:
    first, second = gateways
    assert await ask(first) == "fwd=miss"
    assert await ask(second, ASKED.model_copy(update={"temperature": 1.0})) == "fwd=bypass"
    assert await ask(second) == "hit"


async def test_redis_sees_no_prompt_in_a_key(gateways: list[ResponseCache], redis: Redis) -> None:
    await ask(gateways[0])
    assert [len(key) for key in await redis.keys("torchbridge:response:*")] == [len("torchbridge:response:") + 64]


async def test_what_others_put_there_is_no_answer(gateways: list[ResponseCache], redis: Redis) -> None:
    await ask(gateways[0])
    for key in await redis.keys():
        await redis.set(key, b"garbage")
    assert await ask(gateways[0]) == "fwd=miss"


async def test_without_redis_everything_runs_and_with_it_again_nothing_twice(
    gateways: list[ResponseCache], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = gateways[0]
    assert [await ask(gateway), await ask(gateway)] == ["fwd=miss", "hit"]
    server.kill()
    assert [await ask(gateway) for _ in range(3)] == ["fwd=miss"] * 3
    assert caplog.messages == ["Redis fails (ConnectionError): nothing is cached until it answers"]
    server.start()
    let_it_try_again(gateway._store)
    assert [await ask(gateway), await ask(gateway)] == ["fwd=miss", "hit"]


async def test_a_restart_that_nobody_noticed_is_no_failure(
    store: RedisStore, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await store.put("key", b"answer")
    server.kill()
    server.start()
    await store.put("key", b"answer")
    assert await store.get("key") == b"answer"
    assert not caplog.messages


async def test_a_redis_that_failed_is_left_alone_for_a_while(store: RedisStore, server: RedisServer) -> None:
    await store.put("key", b"answer")
    server.kill()
    assert await store.get("key") is None
    server.start()
    await store.put("key", b"answer")
    let_it_try_again(store)
    assert await store.get("key") is None, "it was put while Redis was to be left alone"
    await store.put("key", b"answer")
    assert await store.get("key") == b"answer"


async def test_one_request_alone_waits_for_a_redis_that_hangs(
    store: RedisStore, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await store.put("key", b"answer")
    server.freeze()
    async with asyncio.timeout(PATIENCE):
        assert await store.get("key") is None
    let_it_try_again(store)
    asking = [asyncio.create_task(store.get("key")) for _ in range(20)]
    await asyncio.sleep(0)
    assert sum(not each.done() for each in asking) == 1
    assert await asyncio.gather(*asking) == [None] * 20
    assert len(caplog.messages) == 1


async def test_who_leaves_does_not_spoil_the_connection_for_the_next(store: RedisStore) -> None:
    await store.put("one", b"1")
    await store.put("two", b"2")
    for _ in range(20):
        leaving = asyncio.create_task(store.get("one"))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await store.get("two") == b"2"


async def test_a_wrong_password_is_no_failure_and_no_secret_is_logged(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with ResponseCache(RedisStore(server.url.replace("secret", "wr0ng"), max_age=60)) as gateway:
        assert [await ask(gateway), await ask(gateway)] == ["fwd=miss"] * 2
    assert "Redis fails (AuthenticationError): nothing is cached until it answers" in caplog.messages
    assert "wr0ng" not in caplog.text


async def test_a_full_redis_is_no_failure_and_no_answer_is_logged(
    gateways: list[ResponseCache], redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await redis.config_set("maxmemory", 1)
    assert await ask(gateways[0]) == "fwd=miss"
    assert "Redis fails (OutOfMemoryError): nothing is cached until it answers" in caplog.messages
    assert TEXT not in caplog.text
