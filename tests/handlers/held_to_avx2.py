"""What a worker does on a processor with AVX2 alone: `python -m tests.handlers.held_to_avx2 DIRECTORY`, held to it.

One program for all of it, for a test to choose the processor: to import torch takes longer than most of the rest.
Prints what each part has come to, or how it failed.
"""

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LlamaConfig

from handlers.check_model import check_model
from handlers.engine import Engine
from handlers.linear_layers import pack_linear_layers
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.step_graph import StepKind
from handlers.worker_engine import checked_engine, load_packed_model
from tests.handlers.conftest import CONFIGURATIONS, CONTEXT_LENGTH, random_model
from tests.handlers.fake_frontend import FakeFrontend, response
from tests.handlers.saved_models import SIZES, TINY, save_in
from tests.handlers.uncompiled_steps import compile_one_kind

SLOTS = 4


def can_compute_in_bfloat16(_directory: Path) -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def type_of_a_model_in_bfloat16(directory: Path) -> str:
    settings = HandlerSettings(slots=2)
    loaded = load_packed_model(save_in(torch.bfloat16, directory, LlamaConfig(**SIZES, eos_token_id=5)), settings)
    checked_engine(loaded, settings)
    return str(loaded.model.dtype)


def tokens_of_weights_of_8_bits(directory: Path) -> int:
    """Of an answer by a model that was checked as `torchbridge pack` does it."""
    config = directory / "model-config.yaml"
    config.write_text("batchSize: 4\nhandler:\n  threads: 1\n  quantization: int8\n")
    check_model(TINY, config)
    (directory / "model").symlink_to(TINY)
    frontend = FakeFrontend(directory, quantization="int8")
    client = frontend.send(prompt="Once upon a time", max_length=10)
    frontend.run()
    frontend.close()
    return response(client).tokens_generated


def rows_of_a_compiled_step(directory: Path) -> list[int]:
    """Of how many rows the calls of the library were, with weights of 8 bits, in the self-check."""
    config = CONFIGURATIONS["llama"]()
    config.num_hidden_layers = 1  # a build takes the longer the more there are
    model = random_model(config)
    pack_linear_layers(model, int8=True)
    steps = compile_one_kind(model, StepKind.MORE_ROWS, SLOTS, CONTEXT_LENGTH, directory)
    check_engine(Engine(model, (), slots=SLOTS, context_length=CONTEXT_LENGTH, compiled_steps=steps), model)
    return steps.library_calls


PARTS: list[Callable[[Path], object]] = [
    can_compute_in_bfloat16,
    type_of_a_model_in_bfloat16,
    tokens_of_weights_of_8_bits,
    rows_of_a_compiled_step,
]


def outcome(part: Callable[[Path], object], directory: Path) -> object:
    directory.mkdir()
    try:
        return part(directory)
    except Exception:  # noqa: BLE001 - a part that fails is no failure of the others
        return traceback.format_exc()


if __name__ == "__main__":
    outcomes = {part.__name__: outcome(part, Path(sys.argv[1]) / part.__name__) for part in PARTS}
    sys.stdout.write(json.dumps(outcomes))
