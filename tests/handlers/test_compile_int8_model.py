"""Compiled steps of weights in 8 bits, which a worker takes as it takes others, whatever the processor has for them.

A library takes the compiler 20 seconds, and so `make soak` alone makes them. compiled_steps/ and test_avx2_alone.py
have what comes nearest every day.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import LlamaConfig

from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers import compile_model
from handlers.compiled_steps import directory_of_steps
from handlers.settings import HandlerSettings
from handlers.step_graph import StepKind
from handlers.worker_engine import has_compiled_steps, load_packed_model
from tests.handlers.compiling import NEEDS_COMPILER
from tests.handlers.fake_frontend import FakeFrontend, write_record
from tests.handlers.saved_models import save_with_tokenizer
from tests.handlers.test_avx2_alone import HELD
from tests.project import PROJECT

pytestmark = [
    *NEEDS_COMPILER,
    pytest.mark.skipif("TORCHBRIDGE_TEST_EVERY_MODEL_TYPE" not in os.environ, reason="make soak runs it"),
]

TINY = PROJECT / "models" / "tiny"
SLOTS, PREFIX_SLOTS = 4, 1


def save_small_llama(directory: Path) -> None:
    config = LlamaConfig(
        vocab_size=json.loads((TINY / "config.json").read_text())["vocab_size"],
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
    )
    save_with_tokenizer(directory, config)


@pytest.fixture
def int8_archive(tmp_path: Path) -> Path:
    save_small_llama(tmp_path / "int8" / "model")
    (tmp_path / "int8" / "model-config.yaml").write_text(
        f"batchSize: {SLOTS}\nhandler:\n  threads: 1\n  prefix_slots: {PREFIX_SLOTS}\n  quantization: int8\n"
    )
    write_record(tmp_path / "int8")
    return tmp_path / "int8"


def test_weights_of_8_bits_have_steps_of_their_own_that_a_worker_takes(
    int8_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the type that this processor computes in beside them."""
    steps = tmp_path / "steps"
    made = compile_model.compile_model(int8_archive, steps)
    plain = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS)
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(steps))

    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "model").symlink_to(int8_archive / "model")
    frontend = FakeFrontend(tmp_path / "worker", slots=SLOTS, prefix_slots=PREFIX_SLOTS, quantization="int8")
    frontend.close()

    assert has_compiled_steps(frontend.handler._engine)
    assert directory_of_steps(steps, load_packed_model(int8_archive / "model", plain), plain) != made


def test_weights_of_8_bits_are_compiled_and_pass_their_check_on_a_processor_with_avx2_alone(
    int8_archive: Path, tmp_path: Path
) -> None:
    arguments = [str(int8_archive), str(tmp_path / "steps"), str(tmp_path)]

    result = subprocess.run(
        [sys.executable, "-m", "handlers.compile_model", *arguments],
        env=os.environ | HELD,
        capture_output=True,
        check=False,
    )

    assert (result.returncode, result.stdout.count(b"\n")) == (0, 1), result.stderr
    made = Path(result.stdout.decode().strip())
    assert {path.name for path in made.iterdir()} == {kind.value for kind in StepKind}
