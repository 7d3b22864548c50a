"""What has no compiled step is refused in words."""

from pathlib import Path

import pytest
from transformers import PreTrainedModel

from handlers.compiled_steps import CompiledSteps, compile_all_steps
from handlers.slot_cache import UnsupportedModelError
from tests.handlers import windowed_models
from tests.handlers.compiled_steps.compiled_llama import SLOTS
from tests.handlers.compiling import NEEDS_COMPILER
from tests.handlers.conftest import CONTEXT_LENGTH, make_model

pytestmark = NEEDS_COMPILER


def test_a_model_with_an_attention_of_its_own_has_no_compiled_step(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="no compiled step"):
        compile_all_steps(make_model("gptj"), SLOTS, CONTEXT_LENGTH, tmp_path)


def test_a_cache_of_two_rows_has_no_compiled_step(llama: PreTrainedModel, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="takes 3 slots and prefix_slots, not 2"):
        compile_all_steps(llama, 2, CONTEXT_LENGTH, tmp_path)


def test_a_file_that_is_no_library_is_refused(llama: PreTrainedModel, tmp_path: Path) -> None:
    (tmp_path / "one_row.so").write_bytes(b"\x7fELF")

    with pytest.raises(OSError, match=r"one_row\.so"):
        CompiledSteps(tmp_path, llama)


def test_model_whose_layers_share_keys_and_values_is_refused(tmp_path: Path) -> None:
    model = windowed_models.make_model("gemma3n")

    with pytest.raises(UnsupportedModelError, match="the keys and values of others: no compiled step"):
        compile_all_steps(model, SLOTS, windowed_models.CONTEXT_LENGTH, tmp_path)
