"""What a token gets does not depend on where the others of its pass are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    Gemma3TextConfig,
    Llama4TextConfig,
    LlamaConfig,
    PhimoeConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from handlers.engine import Engine
from handlers.fixed_positions import fix_positions
from handlers.model_loading import load_model
from handlers.sampling import SamplingParameters
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from tests.handlers.conftest import random_model
from tests.handlers.engine_answers import generate, run
from tests.handlers.longrope import (
    CONTEXT_LENGTH,
    ORIGINAL,
    SHAPE,
    Factors,
    long_factors,
    phi3,
    save_longrope,
    short_factors,
)

# One that stays within the original context, one that leaves it while it is answered, and one that begins beyond it.
PROMPTS = {"short": [3, 5, 7], "crossing": list(range(25)), "long": list(range(60))}


def gemma3(short: Factors, long: Factors) -> Gemma3TextConfig:
    longrope = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": ORIGINAL,
        "short_factor": short(8),
        "long_factor": long(8),
    }
    return Gemma3TextConfig(
        **SHAPE,
        layer_types=["full_attention", "sliding_attention"],
        sliding_window=CONTEXT_LENGTH,
        tie_word_embeddings=False,
        rope_parameters={
            "full_attention": longrope,
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
    )


FAMILIES: dict[str, Callable[..., PreTrainedConfig]] = {
    "all of a head": phi3,
    "a part of it": lambda short, long: phi3(short, long, rotated=0.5),
    "in one type of layers": gemma3,
}


def together(model: PreTrainedModel) -> dict[str, list[int]]:
    engine = Engine(model, (), slots=4, context_length=CONTEXT_LENGTH, prefill_tokens=16)
    for name, prompt in PROMPTS.items():
        engine.submit(name, prompt, 20, SamplingParameters())
    return run(engine)


def alone(model: PreTrainedModel) -> dict[str, list[int]]:
    return {name: generate(model, prompt, 20) for name, prompt in PROMPTS.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_beyond_the_original_context_all_tokens_have_the_long_factors(family: str) -> None:
    model = random_model(FAMILIES[family](short_factors, long_factors))
    with_long_ones_alone = random_model(FAMILIES[family](long_factors, long_factors))
    fix_positions(model, CONTEXT_LENGTH)

    assert together(model) == alone(with_long_ones_alone)
    assert alone(model) == alone(with_long_ones_alone)


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_own_factors_depend_on_who_shares_the_pass(family: str) -> None:
    model = random_model(FAMILIES[family](short_factors, long_factors))

    assert together(model) != alone(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_within_the_original_context_an_answer_is_that_of_generate(family: str) -> None:
    model = random_model(FAMILIES[family](short_factors, long_factors))
    own = generate(model, PROMPTS["crossing"], 7)
    fix_positions(model, ORIGINAL)
    engine = Engine(model, (), slots=4, context_length=ORIGINAL)
    engine.submit("0", PROMPTS["crossing"], 7, SamplingParameters())

    assert run(engine)["0"] == own


ROPE_PARAMETERS: dict[str, dict[str, Any]] = {
    "linear": {"factor": 4.0},
    "dynamic": {"factor": 4.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": ORIGINAL},
    "longrope": {
        "factor": 4.0,
        "original_max_position_embeddings": ORIGINAL,
        "short_factor": short_factors(8),
        "long_factor": long_factors(8),
    },
    "llama3": {
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": ORIGINAL,
    },
    "proportional": {"factor": 4.0, "partial_rotary_factor": 0.5},
}


@pytest.mark.parametrize("rope_type", sorted(ROPE_INIT_FUNCTIONS))
def test_every_kind_of_rotary_positions_gives_the_same_alone_and_in_company(rope_type: str) -> None:
    parameters = {"rope_type": rope_type, "rope_theta": 10_000.0} | ROPE_PARAMETERS[rope_type]
    model = random_model(LlamaConfig(**SHAPE, rope_parameters=parameters))
    fix_positions(model, CONTEXT_LENGTH)

    assert together(model) == alone(model)


@pytest.mark.parametrize("long_mscale", [1.2, 1.5], ids=["one scale", "two scales"])
def test_a_model_that_computes_its_factors_in_each_pass_is_refused_beyond_its_original_context(
    long_mscale: float,
) -> None:
    parameters = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": ORIGINAL,
        "short_factor": short_factors(8),
        "long_factor": long_factors(8),
        "short_mscale": 1.2,
        "long_mscale": long_mscale,
    }
    config = PhimoeConfig(**SHAPE, rope_parameters=parameters, sliding_window=None, num_local_experts=2)

    fix_positions(random_model(config), ORIGINAL)
    with pytest.raises(UnsupportedModelError, match="up to their original context of 32 tokens"):
        fix_positions(random_model(config), ORIGINAL + 1)


def llama4(floor_scale: int) -> PreTrainedModel:
    return random_model(
        Llama4TextConfig(
            **SHAPE,
            intermediate_size_mlp=96,
            num_local_experts=2,
            attention_chunk_size=CONTEXT_LENGTH,
            no_rope_layers=[1, 0],
            floor_scale=floor_scale,
        )
    )


def test_llama4_is_right_in_a_pass_of_more_tokens_than_it_scales_attention_after() -> None:
    """It counts the tokens of a pass from the end of the cache: three prompts at once end beyond position 200."""
    model = llama4(CONTEXT_LENGTH)
    engine = Engine(model, (), slots=4, context_length=CONTEXT_LENGTH)
    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine(engine, model)
    fix_positions(model, CONTEXT_LENGTH)

    check_engine(engine, model)


def test_llama4_is_refused_where_it_scales_attention() -> None:
    with pytest.raises(UnsupportedModelError, match="llama4 models are served up to 64 tokens"):
        fix_positions(llama4(64), 65)


def test_a_context_beyond_the_original_one_is_only_had_by_asking(tmp_path: Path) -> None:
    save_longrope(tmp_path)

    assert load_model(tmp_path, HandlerSettings()).context_length == ORIGINAL
    assert load_model(tmp_path, HandlerSettings(context_length=CONTEXT_LENGTH)).context_length == CONTEXT_LENGTH
