"""What stands in for TorchServe in the tests of the gateway's parts, and the gateway over it."""

import signal
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, serving
from tests.held_clock import HeldClock
from tests.processes import hear_interrupts


@pytest.fixture
def hears_all_signals() -> Iterator[None]:
    """As in the foreground of a terminal, wherever the tests run."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in (signal.SIGTERM, signal.SIGHUP)}
    hear_interrupts()
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement()


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()


@pytest.fixture
async def client(inference: FakeInference, management: FakeManagement) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Settings(max_body_bytes=1_000), inference=inference, registry=ModelRegistry(management, default_model=None)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


@pytest.fixture
def address(inference: FakeInference, management: FakeManagement) -> Iterator[str]:
    with serving(create_app(Settings(), inference=inference, registry=ModelRegistry(management, None))) as address:
        yield address


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    """To be asked for before whatever notes a time."""
    clock = HeldClock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock
