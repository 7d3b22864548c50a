from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.control.client import ControlClient
from adapter.control.messages import control_socket
from tests.adapter.control.running_gateway import running_gateway
from tests.fakes import FakeInference, FakeManagement

LONG = 3_600.0  # seconds: longer than any test


@pytest.fixture(autouse=True)
def _nothing_lapses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may need more seconds for a test than a canary or a hold has that nobody renews."""
    monkeypatch.setattr("adapter.control.canary_routes.CANARY_SECONDS", LONG)
    monkeypatch.setattr("adapter.control.app.HOLD_SECONDS", LONG)


@pytest.fixture
def url(tmp_path: Path, management: FakeManagement, inference: FakeInference) -> Iterator[str]:
    with running_gateway(tmp_path, management, inference) as url:
        yield url


@pytest.fixture
def client(url: str, tmp_path: Path) -> ControlClient:
    del url
    return ControlClient(control_socket(tmp_path))
