from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapter.generation.text_generator import TextGenerator
from tests.adapter.generation.generators import make_generator
from tests.adapter.generation.two_versions import TwoVersions
from tests.fakes import FakeInference, FakeManagement
from tests.redis_server import RedisServer


@pytest.fixture
def generator(management: FakeManagement, inference: FakeInference) -> TextGenerator:
    return make_generator(management, inference)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, "secret")
    yield server
    server.kill()


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as redis:
        yield redis


@pytest.fixture
def two() -> TwoVersions:
    return TwoVersions()
