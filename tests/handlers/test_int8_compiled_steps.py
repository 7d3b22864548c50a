"""Compiled steps of weights in 8 bits give what these weights give in a plain model."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.compile_model import compile_model
from handlers.compiled_library import CompiledLibrary
from handlers.compiled_steps import CompiledSteps, directory_of_steps
from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.step_graph import StepKind, tensors_of
from handlers.worker_engine import has_compiled_steps, load_packed_model
from tests.handlers.compiling import NEEDS_COMPILER
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.handlers.engine_answers import add, counted, generate, run
from tests.handlers.fake_frontend import FakeFrontend, write_record
from tests.handlers.saved_models import save_with_tokenizer
from tests.project import PROJECT

pytestmark = NEEDS_COMPILER

TINY = PROJECT / "models" / "tiny"
SLOTS, PREFIX_SLOTS = 4, 1
HANDLER: dict[str, Any] = {"prefix_slots": PREFIX_SLOTS, "quantization": "int8", "dtype": "float32"}
GREEDY = SamplingParameters()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked, as a build has it. In float32, where both ways to read a weight give the same answers."""
    directory = tmp_path_factory.mktemp("archive")
    config = LlamaConfig(
        vocab_size=json.loads((TINY / "config.json").read_text())["vocab_size"],
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        initializer_range=0.3,
        eos_token_id=None,
    )
    save_with_tokenizer(directory / "model", config)
    settings = "".join(f"  {name}: {value}\n" for name, value in HANDLER.items())
    (directory / "model-config.yaml").write_text(f"batchSize: {SLOTS}\nhandler:\n  threads: 1\n{settings}")
    write_record(directory)
    return directory


@pytest.fixture(scope="module")
def reference(archive: Path) -> PreTrainedModel:
    """Plain layers, each weight rounded to a whole number of steps, 127 of which are the largest of its output."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(archive / "model", dtype=torch.float32)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            steps = layer.weight.detach().abs().amax(dim=1, keepdim=True) / 127
            layer.weight = nn.Parameter((layer.weight.detach() / steps).round() * steps)
    return model.eval()


@pytest.fixture(scope="module")
def int8(archive: Path) -> PreTrainedModel:
    """As a worker has it."""
    return load_packed_model(archive / "model", HandlerSettings.read(archive / "model-config.yaml")).model


@pytest.fixture(scope="module")
def compiled_steps(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one build for all tests here."""
    directory = tmp_path_factory.mktemp("steps")
    compile_model(archive, directory)
    return directory


@pytest.fixture(scope="module")
def libraries(compiled_steps: Path) -> Path:
    [directory] = compiled_steps.iterdir()
    return directory


@pytest.fixture
def steps(libraries: Path, int8: PreTrainedModel) -> CompiledSteps:
    return CompiledSteps(libraries, int8)


@pytest.fixture
def engine(int8: PreTrainedModel, steps: CompiledSteps) -> Engine:
    return Engine(
        int8,
        (),
        slots=SLOTS,
        context_length=CONTEXT_LENGTH,
        prefill_tokens=16,
        prefix_slots=PREFIX_SLOTS,
        compiled_steps=steps,
    )


@pytest.mark.parametrize("requests", [1, 2, 4])
def test_answers_are_those_of_the_rounded_weights(engine: Engine, reference: PreTrainedModel, requests: int) -> None:
    prompts = {str(number): [7 * number + 3, *range(9 * number)] for number in range(requests)}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)

    assert run(engine) == {name: generate(reference, prompt, 20) for name, prompt in prompts.items()}


def test_requests_that_come_and_go_change_no_answer(engine: Engine, reference: PreTrainedModel) -> None:
    """One row runs alone, and then beside others, in turns."""
    prompts = {str(number): [5 * number + 2, *range(3 * number)] for number in range(3 * SLOTS)}
    lengths = {name: 5 + 3 * (int(name) % 5) for name in prompts}
    answers: dict[str, list[int]] = {}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, lengths[name], GREEDY)
        for _ in range(4):
            add(answers, engine.step())
    for name, answer in run(engine).items():
        answers.setdefault(name, []).extend(answer)

    assert answers == {name: generate(reference, prompt, lengths[name]) for name, prompt in prompts.items()}


@pytest.mark.parametrize("requests", [1, 3], ids=["one row", "more rows"])
def test_a_step_without_a_prompt_is_a_compiled_one(engine: Engine, int8: PreTrainedModel, requests: int) -> None:
    for number in range(requests):
        engine.submit(str(number), [number + 1, 2, 3], 2, GREEDY)
    while not engine.step():
        pass
    with counted(int8) as tokens:
        run(engine)

    assert tokens == []


def test_a_worker_takes_them(
    archive: Path, compiled_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(compiled_steps))
    (tmp_path / "model").symlink_to(archive / "model")
    frontend = FakeFrontend(tmp_path, slots=SLOTS, **HANDLER)
    frontend.close()

    assert has_compiled_steps(frontend.handler._engine)


def test_they_are_not_those_of_the_same_model_with_its_own_weights(archive: Path, libraries: Path) -> None:
    plain = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS)

    assert directory_of_steps(libraries.parent, load_packed_model(archive / "model", plain), plain) != libraries


def test_the_self_check_takes_them(engine: Engine, int8: PreTrainedModel) -> None:
    check_engine(engine, int8)


@pytest.mark.parametrize("broken", ["_one_row", "_more_rows", "_piece"])
def test_the_self_check_looks_at_each_library(
    engine: Engine, int8: PreTrainedModel, steps: CompiledSteps, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: CompiledLibrary = getattr(steps, broken)
    monkeypatch.setattr(steps, broken, lambda inputs: own(inputs).flip(-1))

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine(engine, int8)


def test_libraries_are_small_and_hold_no_weights(libraries: Path, int8: PreTrainedModel) -> None:
    some = [each.flatten()[:64].numpy().tobytes() for each in int8.buffers() if each.dtype is torch.int8]
    assert some
    for library in libraries.iterdir():
        content = library.read_bytes()
        assert len(content) < 5_000_000
        assert not any(each in content for each in some)


def test_one_row_reads_weights_of_8_bits_and_no_others(int8: PreTrainedModel) -> None:
    read = tensors_of(int8, StepKind.ONE_ROW)
    matrices = {name: each for name, each in read.items() if each.ndim == 2 and "embed_tokens" not in name}

    assert {each.dtype for each in matrices.values()} == {torch.int8}
