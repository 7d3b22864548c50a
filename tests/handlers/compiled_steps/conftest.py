"""Steps compiled once for all tests here, of a model as a worker has it."""

from pathlib import Path

import pytest
from transformers import PreTrainedModel

from handlers.compiled_steps import CompiledSteps, compile_all_steps
from handlers.engine import Engine
from tests.handlers.compiled_steps.compiled_llama import PREFIX_SLOTS, SLOTS, engine_of, packed
from tests.handlers.conftest import CONTEXT_LENGTH, make_model


@pytest.fixture(scope="package")
def model() -> PreTrainedModel:
    return packed(make_model("llama"))


@pytest.fixture(scope="package")
def libraries(model: PreTrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("steps")
    compile_all_steps(model, SLOTS + PREFIX_SLOTS, CONTEXT_LENGTH, directory)
    return directory


@pytest.fixture
def steps(libraries: Path, model: PreTrainedModel) -> CompiledSteps:
    return CompiledSteps(libraries, model)


@pytest.fixture
def engine(model: PreTrainedModel, steps: CompiledSteps) -> Engine:
    return engine_of(model, steps)
