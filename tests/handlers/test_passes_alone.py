"""Models whose own code looks at where the cache ends: right where each request has passes of its own."""

import logging
import math
from pathlib import Path

import pytest
import torch
from transformers import (
    BloomConfig,
    DogeConfig,
    GPTNeoConfig,
    LlamaConfig,
    OpenAIGPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    TrOCRConfig,
)

from handlers.engine import Engine
from handlers.fixed_positions import fix_positions
from handlers.forward_pass import PackedForwardPass, PassesAlone
from handlers.model_loading import LoadedModel
from handlers.passes_alone import compute_alone, own_window
from handlers.sampling import SamplingParameters
from handlers.self_check import TIGHT_TOLERANCE, check_engine, check_engine_beyond_windows
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.step_graph import StepKind, compile_step
from handlers.worker_engine import checked_engine, worker_engine
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.conftest import CONTEXT_LENGTH, VOCABULARY, random_model
from tests.handlers.engine_answers import generate, run

SETTINGS = HandlerSettings(slots=4, prefill_tokens=16, prefix_slots=2)
PROMPTS = {str(number): list(range(number, 3 * number)) for number in (2, 55, 7)}
# Longer than the self-check's prompts: the real ones have 256, and what they do beyond it no worker's check sees.
WINDOW = 110
TROCR = TrOCRConfig(
    vocab_size=VOCABULARY,
    d_model=64,
    decoder_layers=2,
    decoder_attention_heads=4,
    decoder_ffn_dim=96,
    max_position_embeddings=CONTEXT_LENGTH,
    init_std=0.3,
)
BLOOM = BloomConfig(vocab_size=VOCABULARY, hidden_size=64, n_layer=2, n_head=4, initializer_range=0.3)


def gpt_neo(window: int, context_length: int = CONTEXT_LENGTH, attention: str = "local") -> GPTNeoConfig:
    return GPTNeoConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_layers=2,
        num_heads=4,
        attention_types=[[[attention], 2]],
        window_size=window,
        max_position_embeddings=context_length,
        initializer_range=0.3,
    )


def load(config: PreTrainedConfig, context_length: int = CONTEXT_LENGTH) -> LoadedModel:
    model = random_model(config)
    fix_positions(model, context_length)
    return LoadedModel(model, character_tokenizer(), frozenset(), context_length)


def answers(engine: Engine) -> dict[str, list[int]]:
    for name, prompt in PROMPTS.items():
        engine.submit(name, prompt, 15, SamplingParameters())
    return run(engine)


def own_answers(model: PreTrainedModel) -> dict[str, list[int]]:
    return {name: generate(model, prompt, 15) for name, prompt in PROMPTS.items()}


def test_a_model_that_cannot_share_a_pass_has_one_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    loaded = load(BLOOM)

    engine = checked_engine(loaded, SETTINGS)

    assert isinstance(engine.forward_pass, PassesAlone)
    assert answers(engine) == own_answers(loaded.model)
    assert "each request takes passes of its own: bloom models do not work with the engine" in caplog.text


def test_what_begins_like_another_request_is_right_too() -> None:
    loaded = load(BLOOM)
    engine = checked_engine(loaded, SETTINGS)
    answers(engine)

    prompt = [*PROMPTS["55"][:40], 5, 6, 7]
    engine.submit("again", prompt, 9, SamplingParameters())

    assert run(engine)["again"] == generate(loaded.model, prompt, 9)


def test_a_window_that_the_model_counts_itself_is_kept_to_in_company() -> None:
    loaded = load(gpt_neo(8))

    engine = checked_engine(loaded, SETTINGS)

    assert isinstance(engine.forward_pass, PassesAlone)
    assert answers(engine) == own_answers(loaded.model)


def test_a_window_beyond_the_self_checks_prompts_is_known_by_the_configuration() -> None:
    assert isinstance(worker_engine(load(gpt_neo(WINDOW)), SETTINGS, None).forward_pass, PassesAlone)
    assert not isinstance(worker_engine(load(gpt_neo(CONTEXT_LENGTH)), SETTINGS, None).forward_pass, PassesAlone)


def test_a_window_that_no_layer_has_keeps_nobody_apart() -> None:
    loaded = load(gpt_neo(8, attention="global"))

    engine = checked_engine(loaded, SETTINGS)

    assert not isinstance(engine.forward_pass, PassesAlone)
    assert answers(engine) == own_answers(loaded.model)


def test_a_window_of_that_name_in_another_type_is_none_of_its_text() -> None:
    assert own_window(LlamaConfig(window_size=8), CONTEXT_LENGTH) is None


@pytest.mark.parametrize("config", [BLOOM, TROCR], ids=["bloom", "trocr"])
def test_the_head_is_computed_for_each_new_token_and_for_nothing_else(config: PreTrainedConfig) -> None:
    loaded = load(config)
    compute_alone(loaded.model)
    engine = checked_engine(loaded, SETTINGS)
    tokens: list[int] = []
    head = loaded.model.get_output_embeddings()
    head.register_forward_pre_hook(lambda _, states: tokens.append(math.prod(states[0].shape[:-1])))

    num_new = sum(map(len, answers(engine).values()))

    assert isinstance(engine.forward_pass, PassesAlone)
    assert tokens == [1] * num_new


def test_the_check_of_a_pack_goes_beyond_a_window_that_the_model_counts_itself() -> None:
    context_length = 256
    loaded = load(gpt_neo(WINDOW, context_length), WINDOW)  # as if its window were no shorter than its context
    engine = Engine(loaded.model, (), slots=2, context_length=context_length, prefill_tokens=16)
    check_engine(engine, loaded.model, tolerance=TIGHT_TOLERANCE)

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine_beyond_windows(engine, loaded.model, tolerance=TIGHT_TOLERANCE)


def test_it_has_no_compiled_step() -> None:
    loaded = load(gpt_neo(8))
    states = [torch.empty(4, 4, CONTEXT_LENGTH, 16)] * 4

    with pytest.raises(UnsupportedModelError, match="gpt_neo models have attention of their own: no compiled step"):
        compile_step(loaded.model, states, Path(), StepKind.ONE_ROW)


def test_a_model_that_keeps_no_such_cache_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    config = OpenAIGPTConfig(vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT_LENGTH)

    with (
        caplog.at_level(logging.CRITICAL),
        pytest.raises(UnsupportedModelError, match="openai-gpt models do not work with the engine"),
    ):
        checked_engine(load(config), SETTINGS)


@pytest.mark.parametrize("context_length", [32, 33])
def test_doge_is_served_up_to_the_tokens_that_it_looks_at_without_a_choice(context_length: int) -> None:
    config = DogeConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        keep_window_size=32,
        initializer_range=0.3,
    )
    if context_length == 32:
        assert isinstance(checked_engine(load(config, 32), SETTINGS).forward_pass, PackedForwardPass)
    else:
        with pytest.raises(UnsupportedModelError, match="doge models are served up to 32 tokens"):
            load(config, 33)
