from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.control.client import ControlClient
from adapter.control.messages import control_socket
from tests.adapter.control.running_gateway import running_gateway
from tests.fakes import FakeInference, FakeManagement


@pytest.fixture
def url(tmp_path: Path, management: FakeManagement, inference: FakeInference) -> Iterator[str]:
    with running_gateway(tmp_path, management, inference) as url:
        yield url


@pytest.fixture
def client(url: str, tmp_path: Path) -> ControlClient:
    del url
    return ControlClient(control_socket(tmp_path))
