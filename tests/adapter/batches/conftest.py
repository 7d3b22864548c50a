from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.adapter.batches.batch_calls import EchoInference, batch_gateway


@pytest.fixture
def echo() -> EchoInference:
    return EchoInference()


@pytest.fixture
def gateway(tmp_path: Path, echo: EchoInference) -> Iterator[httpx.Client]:
    with batch_gateway(tmp_path / "batches", echo) as client:
        yield client
