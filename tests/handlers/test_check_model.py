from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, BloomConfig

from handlers.check_model import main

PROJECT = Path(__file__).parents[2]
TINY = PROJECT / "models" / "tiny"
MODEL_CONFIG = PROJECT / "handlers" / "model-config.yaml"


def test_model_that_a_worker_could_serve_passes() -> None:
    main(str(TINY), str(MODEL_CONFIG))


def test_model_that_the_engine_would_get_wrong_is_refused_in_one_line(tmp_path: Path) -> None:
    AutoModelForCausalLM.from_config(BloomConfig(vocab_size=2048, hidden_size=64, n_layer=1, n_head=4)).save_pretrained(
        tmp_path
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((TINY / name).read_bytes())

    with pytest.raises(SystemExit, match=r"^bloom models do not work with the engine: .*\Z"):
        main(str(tmp_path), str(MODEL_CONFIG))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("contextlength: 5", "handler.contextlength: Extra inputs"),
        ("dtype: int8", "handler.dtype: Input should be"),
        ("quantization: int4", "handler.quantization: Input should be"),
        ("{quantization: int8, dtype: float32}", "int8 computes in bfloat16, and dtype says float32"),
    ],
    ids=["unknown key", "unknown value", "unknown quantization", "quantization of another type"],
)
def test_handler_setting_that_does_not_exist_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    config = tmp_path / "model-config.yaml"
    config.write_text(f"batchSize: 2\nhandler:\n  {line}\n")

    with pytest.raises(SystemExit, match=reason):
        main(str(TINY), str(config))


def test_context_longer_than_the_model_was_made_for_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "model-config.yaml"
    config.write_text("batchSize: 2\nhandler:\n  context_length: 1000000\n")

    with pytest.raises(SystemExit, match="the model was made for 1024 positions"):
        main(str(TINY), str(config))
