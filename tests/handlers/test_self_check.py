from contextlib import nullcontext
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Llama4TextConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedModel,
)

from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.engine import Engine
from handlers.engine_news import Step
from handlers.fixed_positions import fix_positions
from handlers.forward_pass import PackedForwardPass, SeparateForwardPasses
from handlers.self_check import check_engine, check_engine_beyond_original
from handlers.slot_cache import UnsupportedModelError
from tests.handlers import longrope
from tests.handlers.conftest import random_model
from tests.handlers.uncompiled_steps import UncompiledSteps

CONTEXT_LENGTH = 128
SLOTS = 4
MISTRAL = {
    "vocab_size": 199,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
LLAMA4 = MISTRAL | {"head_dim": 16, "intermediate_size_mlp": 96, "num_local_experts": 2, "pad_token_id": 0}


def make_engine(model: PreTrainedModel) -> Engine:
    return Engine(model, [], slots=SLOTS, context_length=CONTEXT_LENGTH, prefill_tokens=16)


def test_engine_that_gives_the_models_own_logits_passes_and_is_left_empty(any_model: PreTrainedModel) -> None:
    engine = make_engine(any_model)
    check_engine(engine, any_model)

    assert not engine.has_work


@pytest.mark.parametrize("slots", [1, 2])
def test_engine_of_few_slots_is_checked_with_every_prompt(
    llama: PreTrainedModel, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(llama, [], slots=slots, context_length=CONTEXT_LENGTH)
    own_step, ended = engine.step, list[str]()

    def recorded_step() -> Step | None:
        step = own_step()
        ended.extend(step.ended if step else ())
        return step

    monkeypatch.setattr(engine, "step", recorded_step)
    check_engine(engine, llama)

    assert sorted(ended) == ["100", "3", "5"]


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_prompt_beyond_the_original_context_is_checked_beside_a_short_one(slots: int) -> None:
    model = random_model(longrope.phi3())
    engine = Engine(model, [], slots=slots, context_length=CONTEXT_LENGTH, prefill_tokens=4)
    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine_beyond_original(engine, model)
    fix_positions(model, CONTEXT_LENGTH)

    check_engine_beyond_original(engine, model)
    assert not engine.has_work


def test_engine_that_gives_other_logits_is_refused(llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(llama)
    # As if the engine let a token look at what comes after it and at what its row does not hold.
    monkeypatch.setattr(
        SeparateForwardPasses, "_mask", lambda _, positions, length: torch.zeros(*positions.shape, length)[:, None]
    )

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine(engine, llama)


class WrongAboveTheFirstRow(UncompiledSteps):
    """Of pieces. The first row's states are those of the whole cache."""

    def __call__(self, tokens: torch.Tensor, *others: Any) -> torch.Tensor:
        logits = super().__call__(tokens, *others)
        [*_, states] = others
        return logits.flip(-1) if tokens.shape[1] > 1 and len(states[0]) < SLOTS else logits


@pytest.mark.parametrize("steps", [UncompiledSteps, WrongAboveTheFirstRow])
def test_compiled_pieces_are_checked_beside_a_row_that_runs(
    llama: PreTrainedModel, steps: type[UncompiledSteps]
) -> None:
    is_right = steps is UncompiledSteps
    engine = Engine(llama, [], slots=SLOTS, context_length=CONTEXT_LENGTH, compiled_steps=steps(llama, CONTEXT_LENGTH))
    assert isinstance(engine.forward_pass, CompiledForwardPass)
    engine.forward_pass.tokens_per_pass = own = 72.0  # of a real width: short prompts are left to the model

    with nullcontext() if is_right else pytest.raises(UnsupportedModelError, match="its logits differ"):
        check_engine(engine, llama)
    assert engine.forward_pass.tokens_per_pass == own


def test_where_pieces_are_compiled_those_that_are_left_to_the_model_are_checked_too(
    llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flipped(*arguments: Any) -> torch.Tensor | None:
        logits = own(*arguments)
        return None if logits is None else logits.flip(-1)

    own = PackedForwardPass.__call__
    monkeypatch.setattr(PackedForwardPass, "__call__", flipped)
    steps = UncompiledSteps(llama, CONTEXT_LENGTH)
    engine = Engine(llama, [], slots=SLOTS, context_length=CONTEXT_LENGTH, compiled_steps=steps)

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine(engine, llama)


def test_model_whose_code_needs_another_cache_is_refused() -> None:
    model = AutoModelForCausalLM.from_config(BloomConfig(vocab_size=199, hidden_size=64, n_layer=2, n_head=4)).eval()

    with pytest.raises(UnsupportedModelError, match="bloom models do not work with the engine"):
        check_engine(make_engine(model), model)


def test_linear_attention_is_refused() -> None:
    model = AutoModelForCausalLM.from_config(MambaConfig(vocab_size=199, hidden_size=64, num_hidden_layers=2))

    with pytest.raises(UnsupportedModelError, match="mamba models keep a LinearAttentionLayer"):
        make_engine(model)


def test_chunks_shorter_than_the_context_are_refused() -> None:
    config = Llama4TextConfig(**LLAMA4, attention_chunk_size=CONTEXT_LENGTH - 1)

    with pytest.raises(UnsupportedModelError, match="for chunked_attention"):
        make_engine(AutoModelForCausalLM.from_config(config))


def test_sliding_window_as_long_as_the_context_is_full_attention() -> None:
    model = AutoModelForCausalLM.from_config(MistralConfig(**MISTRAL, sliding_window=CONTEXT_LENGTH)).eval()

    check_engine(make_engine(model), model)
