import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, MistralConfig, PreTrainedModel

from handlers.engine import Engine
from handlers.forward_pass import SeparateForwardPasses
from handlers.self_check import check_engine
from handlers.slot_cache import UnsupportedModelError

CONTEXT_LENGTH = 128
MISTRAL = {
    "vocab_size": 199,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def make_engine(model: PreTrainedModel) -> Engine:
    return Engine(model, [], slots=4, context_length=CONTEXT_LENGTH, prefill_tokens=16)


def test_engine_that_gives_the_models_own_logits_passes_and_is_left_empty(any_model: PreTrainedModel) -> None:
    engine = make_engine(any_model)
    check_engine(engine, any_model)

    assert not engine.has_work


def test_engine_that_gives_other_logits_is_refused(llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(llama)
    # As if the engine let a token look at what comes after it and at stale positions.
    monkeypatch.setattr(
        SeparateForwardPasses, "_mask", lambda _, positions, length: torch.zeros(*positions.shape, length)[:, None]
    )
    monkeypatch.setattr(engine, "_longest", 20)

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine(engine, llama)


def test_model_whose_code_needs_another_cache_is_refused() -> None:
    model = AutoModelForCausalLM.from_config(BloomConfig(vocab_size=199, hidden_size=64, n_layer=2, n_head=4)).eval()

    with pytest.raises(UnsupportedModelError, match="bloom models do not work with the engine"):
        check_engine(make_engine(model), model)


def test_sliding_window_shorter_than_the_context_is_refused() -> None:
    model = AutoModelForCausalLM.from_config(MistralConfig(**MISTRAL, sliding_window=CONTEXT_LENGTH - 1))

    with pytest.raises(UnsupportedModelError, match="DynamicSlidingWindowLayer"):
        make_engine(model)


def test_sliding_window_as_long_as_the_context_is_full_attention() -> None:
    model = AutoModelForCausalLM.from_config(MistralConfig(**MISTRAL, sliding_window=CONTEXT_LENGTH)).eval()

    check_engine(make_engine(model), model)
