import pytest

from adapter.generation.text_generator import TextGenerator
from tests.adapter.generation.generators import make_generator
from tests.fakes import FakeInference, FakeManagement


@pytest.fixture
def generator(management: FakeManagement, inference: FakeInference) -> TextGenerator:
    return make_generator(management, inference)
