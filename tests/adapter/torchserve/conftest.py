"""An InferenceClient, and the TorchServe that it asks."""

from collections.abc import AsyncIterator

import pytest

from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from tests.fakes import FakeKeys, FakeTorchServe, find_a_worker


@pytest.fixture
async def torchserve() -> AsyncIterator[FakeTorchServe]:
    async with FakeTorchServe() as torchserve:
        yield torchserve


@pytest.fixture
def keys(torchserve: FakeTorchServe) -> FakeKeys:
    return FakeKeys(torchserve)


@pytest.fixture
async def inference(torchserve: FakeTorchServe, keys: FakeKeys) -> AsyncIterator[InferenceClient]:
    async with InferenceClient(Settings(torchserve_url=torchserve.url), keys, find_a_worker) as inference:
        yield inference
