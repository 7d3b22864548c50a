"""What `torchbridge pack` says yes to is what the worker serves."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, OpenAIGPTConfig

from adapter.probes import Probes
from handlers import attention_masks, computing_type, fixed_positions
from handlers.check_model import check_model, main
from handlers.forward_pass import PackedForwardPass, Piece, SeparateForwardPasses
from handlers.int8_linear import Int8Linear
from handlers.row_groups import RowGroup
from handlers.settings import HandlerSettings
from handlers.worker_engine import checked_engine, load_packed_model
from tests.handlers.longrope import ORIGINAL, save_longrope
from tests.handlers.saved_models import save_model
from tests.handlers.windowed_models import FAMILIES, LONG_WINDOW

PROJECT = Path(__file__).parents[2]
TINY = PROJECT / "models" / "tiny"
MODEL_CONFIG = PROJECT / "handlers" / "model-config.yaml"


def test_model_that_a_worker_could_serve_passes() -> None:
    main(str(TINY), str(MODEL_CONFIG))


def test_model_that_the_engine_would_get_wrong_is_refused_in_one_line(tmp_path: Path) -> None:
    AutoModelForCausalLM.from_config(OpenAIGPTConfig(vocab_size=2048, n_embd=64, n_layer=1, n_head=4)).save_pretrained(
        tmp_path
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((TINY / name).read_bytes())

    with pytest.raises(SystemExit, match=r"^openai-gpt models do not work with the engine: .*\Z"):
        main(str(tmp_path), str(MODEL_CONFIG))


def test_model_whose_chats_could_never_be_answered_is_refused_in_one_line(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].text }}")

    with pytest.raises(SystemExit, match=r"^The chat template leaves out what the user says .*\Z"):
        main(str(tmp_path), str(MODEL_CONFIG))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("contextlength: 5", "handler.contextlength: Extra inputs"),
        ("dtype: int8", "handler.dtype: Input should be"),
        ("quantization: int4", "handler.quantization: Input should be"),
        ("{quantization: int8, dtype: float16}", "int8 computes in bfloat16 or float32, not in float16"),
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


@pytest.fixture
def bfloat16(tmp_path: Path) -> Path:
    return config_of(tmp_path, "dtype: bfloat16")


def config_of(directory: Path, line: str) -> Path:
    config = directory / "model-config.yaml"
    config.write_text(f"batchSize: 4\nhandler:\n  threads: 1\n  {line}\n")
    return config


def serve(directory: Path, config: Path) -> None:
    """As a worker does, but for the probes. Raises UnsupportedModelError."""
    settings = HandlerSettings.read(config)
    checked_engine(load_packed_model(directory, settings), settings)


def hide(monkeypatch: pytest.MonkeyPatch, what: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Lets the engine's tokens not look at some positions. what: of [batch, 1, tokens, 1] and [length]."""
    own = SeparateForwardPasses._mask

    def mask(passes: SeparateForwardPasses, positions: Tensor, length: int) -> Tensor:
        hidden = what(positions[:, None, :, None], passes._every_position[:length])
        return own(passes, positions, length).masked_fill(hidden, torch.finfo(passes._model.dtype).min)

    monkeypatch.setattr(SeparateForwardPasses, "_mask", mask)


def test_an_engine_that_is_blind_to_the_token_40_back_is_refused(
    bfloat16: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, lambda positions, every: every == positions - 40)
    serve(TINY, bfloat16)  # what it gets wrong is less than what bfloat16 itself does

    with pytest.raises(SystemExit, match="its logits differ from the model's own"):
        main(str(TINY), str(bfloat16))


def test_an_engine_that_loses_a_token_between_two_pieces_of_a_prompt_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_before_the_piece(positions: Tensor, every: Tensor) -> Tensor:
        starts = positions[:, :, :1]
        return (every == starts - 1) & (positions.shape[2] > 1)

    config = config_of(tmp_path, "dtype: float32")
    hide(monkeypatch, last_before_the_piece)
    serve(TINY, config)  # at its prefill_tokens the prompt is one piece

    with pytest.raises(SystemExit, match="its logits differ from the model's own"):
        main(str(TINY), str(config))


def test_an_engine_that_mixes_up_rows_is_refused(bfloat16: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = PackedForwardPass.__call__

    def mixed_up(
        passes: PackedForwardPass, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]
    ) -> Tensor | None:
        logits = own(passes, pieces, lengths, groups)
        return logits if logits is None or len(logits) < 2 else logits.flip(0)

    monkeypatch.setattr(PackedForwardPass, "__call__", mixed_up)

    with pytest.raises(SystemExit, match="its logits differ from the model's own"):
        main(str(TINY), str(bfloat16))


def test_layers_that_only_the_worker_has_are_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(tmp_path, "quantization: int8")
    main(str(TINY), str(config))
    own = Int8Linear.forward
    monkeypatch.setattr(Int8Linear, "forward", lambda layer, states: -own(layer, states))

    with pytest.raises(SystemExit, match="log-probabilities"):
        main(str(TINY), str(config))


def test_the_probes_of_a_model_in_8_bits_are_the_same_whatever_units_the_processor_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are packed: an archive has the same bytes on every machine. tiny is stored in float32."""
    config = config_of(tmp_path, "quantization: int8")
    types: list[str] = []
    probes: list[Probes] = []
    for has_units in (True, False):
        monkeypatch.setattr(computing_type, "has_units_for", lambda _, has_units=has_units: has_units)
        types.append(computing_type.type_beside_int8())
        probes.append(check_model(TINY, config))

    assert types == ["bfloat16", "float32"]
    assert probes[0].to_bytes() == probes[1].to_bytes()


def test_a_prompt_beyond_the_original_context_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_longrope(tmp_path)
    config = config_of(tmp_path, f"context_length: {4 * ORIGINAL}")
    main(str(tmp_path), str(config))
    monkeypatch.setattr(fixed_positions, "_is_chosen_in_each_pass", lambda _: False)

    with pytest.raises(SystemExit, match="its logits differ from the model's own"):
        main(str(tmp_path), str(config))


def test_a_prompt_longer_than_a_sliding_window_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path, FAMILIES["mistral"](LONG_WINDOW))
    config = config_of(tmp_path, "context_length: 64")
    main(str(tmp_path), str(config))
    own = attention_masks._is_hidden
    # The window that the short prompts of the self-check leave is another one.
    monkeypatch.setattr(
        attention_masks,
        "_is_hidden",
        lambda before, window: own(before, window + 1 if window == LONG_WINDOW else window),
    )

    with pytest.raises(SystemExit, match="its logits differ from the model's own"):
        main(str(tmp_path), str(config))
