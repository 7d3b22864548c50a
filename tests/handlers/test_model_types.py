"""The table in docs/model-types.md of what becomes of each type of model. All of them are tried by `make soak`."""

import json
import os
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from handlers.forward_pass import PackedForwardPass
from handlers.model_loading import LoadedModel, load_model
from handlers.self_check import TIGHT_TOLERANCE
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError, attention_layers
from handlers.worker_engine import checked_engine
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.model_sizes import CONTEXT_LENGTH
from tests.handlers.model_types import MODEL_TYPES, NOT_BUILT, PAGE, RUN_BY_NOBODY, WRONG, outcome_of, outcomes_in
from tests.handlers.small_models import small_config, small_model

# Of each outcome some, and what its own kind of layers, cache or attention makes special.
SAMPLE = [
    "axk2",
    "bloom",
    "deepseek_v3",
    "falcon",
    "falcon_mamba",
    "gemma2",
    "gemma3_text",
    "gemma3n_text",
    "gpt_neo",
    "gpt_oss",
    "gptj",
    "mistral",
    "opt",
    "phi3",
    "qwen3_next",
]
TRIED = MODEL_TYPES if "TORCHBRIDGE_TEST_EVERY_MODEL_TYPE" in os.environ else SAMPLE


def table() -> dict[str, str]:
    return outcomes_in(PAGE.read_text(encoding="utf-8"))


def test_the_table_has_every_type_of_model_that_this_transformers_has() -> None:
    assert sorted(table()) == MODEL_TYPES
    assert f"with transformers {transformers.__version__} |" in PAGE.read_text(encoding="utf-8")


def test_no_type_of_model_is_served_wrongly_or_not_tried() -> None:
    assert {WRONG, NOT_BUILT}.isdisjoint(table().values())


@pytest.mark.filterwarnings("ignore")  # whatever transformers says of a configuration as small as this
@pytest.mark.parametrize("model_type", TRIED)
def test_the_table_says_what_becomes_of_it(model_type: str) -> None:
    outcome = outcome_of(model_type)

    assert outcome.kind == table()[model_type], outcome.detail


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", RUN_BY_NOBODY)
def test_what_transformers_itself_makes_no_text_of_is_refused_in_one_line(model_type: str, tmp_path: Path) -> None:
    try:
        small_model(model_type).save_pretrained(tmp_path)
    except Exception:  # noqa: BLE001 - then it fails by its configuration alone
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        save_file({"any": torch.zeros(1)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    character_tokenizer().save_pretrained(tmp_path)

    with pytest.raises(UnsupportedModelError) as refusal:
        checked_engine(load_model(tmp_path, HandlerSettings()), HandlerSettings())
    assert "\n" not in str(refusal.value)


def test_a_type_is_refused_by_the_layers_that_a_model_has_of_it() -> None:
    """Granite 4.0 Micro is a granitemoehybrid without a recurrent state."""
    config = small_config("granitemoehybrid")
    with pytest.raises(UnsupportedModelError, match="LinearAttentionLayer"):
        attention_layers(config, CONTEXT_LENGTH)
    config.layer_types = ["full_attention"] * config.num_hidden_layers
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    loaded = LoadedModel(model, character_tokenizer(), frozenset(), CONTEXT_LENGTH)

    engine = checked_engine(loaded, HandlerSettings(slots=4), tolerance=TIGHT_TOLERANCE)
    assert isinstance(engine.forward_pass, PackedForwardPass)
