"""The README's table of what becomes of each type of model. All of them are tried by `make soak`."""

import os

import pytest
import transformers

from tests.handlers.model_types import MODEL_TYPES, README, WRONG, outcome_of, outcomes_in

# Of each outcome some, and what its own kind of layers, cache or attention makes special.
SAMPLE = [
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
    return outcomes_in(README.read_text(encoding="utf-8"))


def test_the_table_has_every_type_of_model_that_this_transformers_has() -> None:
    assert sorted(table()) == MODEL_TYPES
    assert f"with transformers {transformers.__version__} |" in README.read_text(encoding="utf-8")


def test_no_type_of_model_is_served_wrongly() -> None:
    assert WRONG not in table().values()


@pytest.mark.filterwarnings("ignore")  # whatever transformers says of a configuration as small as this
@pytest.mark.parametrize("model_type", TRIED)
def test_the_table_says_what_becomes_of_it(model_type: str) -> None:
    outcome = outcome_of(model_type)

    assert outcome.kind == table()[model_type], outcome.detail
