import asyncio
from types import SimpleNamespace

import pytest

from adapter.generation.response_store import MemoryStore, RedisStore, response_store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr("adapter.generation.response_store.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


async def test_an_answer_is_found_under_its_key_only() -> None:
    store = MemoryStore(10_000, max_age=60)
    await store.put("key", b"answer")
    assert (await store.get("key"), await store.get("other")) == (b"answer", None)


async def test_an_answer_is_gone_when_it_is_too_old(clock: list[float]) -> None:
    store = MemoryStore(10_000, max_age=60)
    await store.put("key", b"answer")
    clock[0] += 59
    assert await store.get("key") == b"answer"
    clock[0] += 1
    assert await store.get("key") is None


async def test_the_bytes_are_bounded_and_the_least_recently_used_go_first() -> None:
    store = MemoryStore(10_000, max_age=60)
    await store.put("used", bytes(500))
    for number in range(100):
        await store.put(f"key {number}", bytes(500))
        await store.get("used")
    assert store._answers.currsize <= 10_000
    assert await store.get("used")
    assert await store.get("key 99")
    assert await store.get("key 0") is None


async def test_answers_without_a_text_take_room_too() -> None:
    store = MemoryStore(10_000, max_age=60)
    for number in range(100):
        await store.put(f"key {number}", b"")
    assert len(store._answers) < 20


async def test_one_answer_does_not_take_the_place_of_all_others() -> None:
    store = MemoryStore(10_000, max_age=60)
    await store.put("key", bytes(1_300))
    assert await store.get("key") is None


async def test_the_store_is_redis_where_there_is_one_and_none_without_an_age() -> None:
    assert isinstance(response_store(None, 1_000, 60), MemoryStore)
    assert isinstance(response_store("redis://localhost", 1_000, 60), RedisStore)
    assert response_store("redis://localhost", 1_000, 0) is None


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$x\r\n", b"*1\r\n", b""])
async def test_a_server_that_is_no_redis_is_as_good_as_none(reply: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        store = RedisStore(f"redis://127.0.0.1:{port}", max_age=60)
        assert await store.get("key") is None
        await store.aclose()
    assert len(caplog.messages) == 1
