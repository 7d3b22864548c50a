"""Steps compiled once for all tests here, of an archive as a worker unpacks it.

A library takes the compiler 20 seconds. In 8 bits there are two ways to read a weight, and steps take either: `make
soak` alone compiles those of the weights as they are, too.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from handlers.compile_model import compile_model
from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.settings import HandlerSettings
from handlers.worker_engine import load_packed_model
from tests.handlers.compiled_steps.compiled_llama import (
    PREFIX_SLOTS,
    SLOTS,
    configuration,
    engine_of,
    rounded,
    settings_of,
)
from tests.handlers.fake_frontend import write_record
from tests.handlers.saved_models import save_with_tokenizer

EVERY_LIBRARY = "TORCHBRIDGE_TEST_EVERY_MODEL_TYPE" in os.environ


@pytest.fixture(scope="package", params=["int8", None] if EVERY_LIBRARY else ["int8"], ids=str)
def settings(request: pytest.FixtureRequest) -> HandlerSettings:
    return settings_of(request.param)


@pytest.fixture(scope="package")
def archive(settings: HandlerSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("archive")
    save_with_tokenizer(directory / "model", configuration())
    handler = {"prefix_slots": PREFIX_SLOTS, "dtype": "float32", "threads": 1}
    if settings.quantization:
        handler["quantization"] = settings.quantization
    lines = [f"  {name}: {value}\n" for name, value in handler.items()]
    (directory / "model-config.yaml").write_text(f"batchSize: {SLOTS}\nhandler:\n{''.join(lines)}")
    write_record(directory)
    return directory


@pytest.fixture(scope="package")
def libraries(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_model(archive, tmp_path_factory.mktemp("steps"))


@pytest.fixture(scope="package")
def model(archive: Path, settings: HandlerSettings) -> PreTrainedModel:
    """As a worker has it."""
    return load_packed_model(archive / "model", settings).model


@pytest.fixture(scope="package")
def plain(archive: Path, settings: HandlerSettings) -> Callable[[], PreTrainedModel]:
    """Makes what a worker's model is to compute."""

    def make() -> PreTrainedModel:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(archive / "model", dtype=torch.float32).eval()
        return rounded(model) if settings.quantization else model

    return make


@pytest.fixture(scope="package")
def reference(plain: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    return plain()


@pytest.fixture
def steps(libraries: Path, model: PreTrainedModel) -> CompiledSteps:
    return CompiledSteps(libraries, model)


@pytest.fixture
def engine(model: PreTrainedModel, steps: CompiledSteps) -> Engine:
    return engine_of(model, steps)
