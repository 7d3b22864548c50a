"""What generate() would refuse is no reason to refuse a model: it is never called."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, LlamaConfig

from handlers import model_loading
from handlers.model_loading import load_model
from handlers.settings import HandlerSettings
from tests.handlers.saved_models import SIZES, load, save_model


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
