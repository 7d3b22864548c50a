"""Weights of 8 bits have steps of their own."""

from pathlib import Path

import pytest
import torch

from handlers.compiled_steps import directory_of_steps
from handlers.model_loading import LoadedModel
from handlers.settings import HandlerSettings
from handlers.step_graph import StepKind, tensors_of
from handlers.worker_engine import load_packed_model
from tests.handlers.compiled_steps.compiled_llama import configuration, settings_of
from tests.handlers.saved_models import save_with_tokenizer

INT8, PLAIN = settings_of("int8"), settings_of(None)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    save_with_tokenizer(directory, configuration())
    return directory


@pytest.fixture(scope="module")
def int8(directory: Path) -> LoadedModel:
    return load_packed_model(directory, INT8)


def test_they_are_not_those_of_the_same_model_with_its_own_weights(
    directory: Path, int8: LoadedModel, tmp_path: Path
) -> None:
    def steps_of(loaded: LoadedModel, settings: HandlerSettings) -> Path:
        return directory_of_steps(tmp_path, loaded, settings)

    assert steps_of(int8, INT8) == steps_of(load_packed_model(directory, INT8), INT8)
    assert steps_of(int8, INT8) != steps_of(load_packed_model(directory, PLAIN), PLAIN)


def test_one_row_reads_weights_of_8_bits_and_no_others(int8: LoadedModel) -> None:
    read = tensors_of(int8.model, StepKind.ONE_ROW)
    matrices = {name: each for name, each in read.items() if each.ndim == 2 and "embed_tokens" not in name}

    assert {each.dtype for each in matrices.values()} == {torch.int8}
