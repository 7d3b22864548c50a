"""What stands in for TorchServe in the tests of the gateway's parts."""

import pytest

from tests.fakes import FakeInference, FakeManagement


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement()


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()
