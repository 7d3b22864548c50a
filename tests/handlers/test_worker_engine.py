"""What a worker does without, where a model does not work with it."""

import pytest
import torch
from transformers import MptConfig, NemotronConfig, PreTrainedConfig

from handlers.forward_pass import PackedForwardPass, SeparateForwardPasses
from handlers.model_loading import LoadedModel
from handlers.sampling import SamplingParameters
from handlers.self_check import ForwardPassError, check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import checked_engine, worker_engine
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.conftest import CONTEXT_LENGTH, VOCABULARY, random_model
from tests.handlers.engine_answers import generate, run

SETTINGS = HandlerSettings(slots=4, prefill_tokens=16)
PROMPTS = {str(number): list(range(number, 3 * number)) for number in (2, 30, 7)}
NEMOTRON = NemotronConfig(
    vocab_size=VOCABULARY,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    max_position_embeddings=CONTEXT_LENGTH,
    initializer_range=0.3,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
MPT = MptConfig(
    vocab_size=VOCABULARY, d_model=64, n_heads=4, n_layers=2, max_seq_len=CONTEXT_LENGTH, initializer_range=0.3
)


def load(config: PreTrainedConfig) -> LoadedModel:
    model = random_model(config)
    return LoadedModel(model, character_tokenizer(), frozenset(), CONTEXT_LENGTH)


def assert_answers_are_those_of_generate(loaded: LoadedModel) -> None:
    engine = checked_engine(loaded, SETTINGS)
    for name, prompt in PROMPTS.items():
        engine.submit(name, prompt, 20, SamplingParameters())

    assert isinstance(engine.forward_pass, SeparateForwardPasses)
    assert not isinstance(engine.forward_pass, PackedForwardPass)
    assert run(engine) == {name: generate(loaded.model, prompt, 20) for name, prompt in PROMPTS.items()}


def test_a_model_that_cannot_take_pieces_and_rows_in_one_pass_takes_a_pass_for_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = load(NEMOTRON)
    with pytest.raises(ForwardPassError, match="attn_mask"):
        check_engine(worker_engine(loaded, SETTINGS, None), loaded.model)

    assert_answers_are_those_of_generate(loaded)
    assert "pieces of prompts and running rows take a pass each" in caplog.text


def test_wrong_logits_are_no_reason_to_try_separate_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def flipped(*arguments: object) -> torch.Tensor | None:
        logits = own(*arguments)
        return None if logits is None else logits.flip(-1)

    loaded = load(NEMOTRON)
    own = SeparateForwardPasses.__call__
    monkeypatch.setattr(PackedForwardPass, "__call__", flipped)

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        checked_engine(loaded, SETTINGS)


def test_mpt_whose_positions_are_alibi_is_served() -> None:
    assert_answers_are_those_of_generate(load(MPT))
