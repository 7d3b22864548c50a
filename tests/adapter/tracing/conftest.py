import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.adapter.tracing.otlp_receiver import Receiver, receiving
from tests.fakes import FakeTorchServe


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """It is what the environment names as the collector."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        yield receiver


@pytest.fixture
async def torchserve() -> AsyncIterator[FakeTorchServe]:
    async with FakeTorchServe() as torchserve:
        yield torchserve
