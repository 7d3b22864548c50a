import pytest

from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeManagement


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement({"story": {"2.0": 1, "1.0": 1, "3.0": 0}, "chat": {"1.0": 2}})


@pytest.fixture
def registry(management: FakeManagement) -> ModelRegistry:
    return ModelRegistry(management, default_model="story")
