"""Small randomly initialised models of the families that the engine is compared on, and the embedded one's worker."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTJConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from handlers import text_generation
from handlers.model_loading import LoadedModel
from handlers.settings import HandlerSettings
from handlers.worker_engine import load_packed_model, worker_engine
from tests.handlers.fake_frontend import FakeFrontend
from tests.project import PROJECT

torch.set_num_threads(1)  # these models are too small to share

VOCABULARY = 199
CONTEXT_LENGTH = 128

CONFIGURATIONS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
    ),
    "qwen2": lambda: Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
    ),
    # Their attention is their own, not one of transformers' interchangeable ones.
    "gptj": lambda: GPTJConfig(
        vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, rotary_dim=8, n_positions=CONTEXT_LENGTH
    ),
    "gpt2": lambda: GPT2Config(vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT_LENGTH),
}


def make_model(family: str) -> PreTrainedModel:
    # A wide spread of weights keeps the greedy choice far from ties, and the answer from one repeated token.
    config = CONFIGURATIONS[family]()
    config.initializer_range = 0.3
    return random_model(config)


def random_model(config: PreTrainedConfig) -> PreTrainedModel:
    """The same weights each time, and answers that no token ends."""
    torch.manual_seed(7)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model.eval()


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    return load_packed_model(PROJECT / "models" / "tiny", HandlerSettings())


@pytest.fixture
def frontend(tmp_path: Path, tiny: LoadedModel) -> Iterator[FakeFrontend]:
    """To a worker of the embedded model, which is not loaded and checked for each test again."""
    (tmp_path / "model").symlink_to(PROJECT / "models" / "tiny")
    own = replace(tiny, tokenizer=copy.deepcopy(tiny.tokenizer))  # a test may change it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_generation, "load_packed_model", lambda *_: own)
        patch.setattr(text_generation, "checked_engine", worker_engine)
        frontend = FakeFrontend(tmp_path)
    yield frontend
    frontend.close()


@pytest.fixture(scope="session", params=sorted(CONFIGURATIONS))
def any_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return make_model(request.param)


@pytest.fixture(scope="session")
def llama() -> PreTrainedModel:
    return make_model("llama")
