"""What generate() would refuse is no reason to refuse a model: it is never called."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from handlers import model_loading
from handlers.model_loading import load_model
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import checked_engine, load_packed_model
from tests.handlers.saved_models import SIZES, change_json, load, save_model


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return save_model(tmp_path, LlamaConfig(**SIZES, eos_token_id=5))


@pytest.mark.parametrize(
    "values",
    [
        {"max_new_tokens": 0},
        {"cache_implementation": "of-next-year"},
        {"early_stopping": "later"},
        {"num_beams": 2, "num_return_sequences": 9},
        {"temperature": 0.5, "do_sample": False},
        {"watermarking_config": {"hashing": "no"}},
        {"of_next_year": [1]},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_generation_config_that_generate_would_refuse_is_loaded(values: dict[str, object], directory: Path) -> None:
    (directory / "generation_config.json").write_text(json.dumps({**values, "eos_token_id": [7, 9]}))

    loaded = load_model(directory, HandlerSettings())

    assert loaded.stop_token_ids == {7, 9}
    assert {name: getattr(loaded.model.generation_config, name) for name in values} == values


def test_without_a_generation_config_the_end_is_what_config_json_says(directory: Path) -> None:
    (directory / "generation_config.json").unlink()
    assert load(directory).generation_config.eos_token_id == 5


def test_a_generation_config_that_says_no_end_leaves_it_to_the_tokenizer(directory: Path) -> None:
    (directory / "generation_config.json").write_text('{"temperature": 0.6}')

    generation_config = load(directory).generation_config

    assert (generation_config.eos_token_id, generation_config.temperature) == (None, 0.6)


@pytest.mark.parametrize(
    ("device", "has_accelerate", "device_map"),
    [("cpu", True, None), ("cuda:0", True, "cuda:0"), ("cuda:0", False, None)],
    ids=["the CPU", "a GPU", "a GPU without accelerate"],
)
def test_weights_go_straight_to_a_gpu_where_accelerate_is_there(
    device: str, has_accelerate: bool, device_map: str | None, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refuse(*_: object, **options: object) -> None:
        asked.append(options["device_map"])
        raise OSError("seen")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    monkeypatch.setattr(model_loading, "is_accelerate_available", lambda: has_accelerate)

    with pytest.raises(OSError, match="seen"):
        load_model(directory, HandlerSettings(), device)
    assert asked == [device_map]


@pytest.mark.parametrize(
    "wish",
    [
        {"return_dict": False},
        {"attn_implementation": "flash_attention_2"},
        {"_attn_implementation": "flash_attention_3"},
        {"dtype": "float64"},
    ],
    ids=lambda wish: f"{next(iter(wish))}",
)
def test_what_config_json_wishes_for_other_programs_changes_no_answer(
    wish: dict[str, object], directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load(directory)(torch.tensor([[1, 2, 3]])).logits
    change_json(directory / "config.json", **wish)

    loaded = load_packed_model(directory, HandlerSettings())
    checked_engine(loaded, HandlerSettings(slots=2))

    assert loaded.model.dtype is torch.float32
    assert torch.allclose(loaded.model(torch.tensor([[1, 2, 3]])).logits, expected, atol=1e-5)
    assert ("float64" in caplog.text) == ("dtype" in wish)


@pytest.mark.parametrize("length", [-1, 1])
def test_a_context_in_which_nothing_can_be_asked_is_refused(length: int, directory: Path) -> None:
    change_json(directory / "config.json", max_position_embeddings=length)
    with pytest.raises(UnsupportedModelError, match=f"max_position_embeddings .* {length} tokens"):
        load(directory)


@pytest.mark.parametrize("content", ["{}", '{"version": "1.0", "added_tokens": [], "model": {"type": "none"}}'])
def test_a_tokenizer_of_which_none_can_be_made_is_named(content: str, directory: Path) -> None:
    (directory / "tokenizer.json").write_text(content)
    with pytest.raises(UnsupportedModelError, match="transformers cannot make a tokenizer of its files"):
        load(directory)


def test_a_generation_config_replaces_no_method(directory: Path) -> None:
    (directory / "generation_config.json").write_text('{"to_dict": 1, "__class__": "x", "eos_token_id": 7}')
    assert load(directory).generation_config.to_dict()["eos_token_id"] == 7
