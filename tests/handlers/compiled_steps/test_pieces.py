"""Pieces of prompts are compiled, too, or left to the model where they cannot be."""

import os
import shutil
from errno import ENOSPC
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from handlers import packed_attention
from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.compiled_steps import _OF_THE_GRAPH, CompiledSteps, allocate, compile_all_steps, leave_out_pieces
from handlers.engine import Engine
from handlers.linear_layers import pack_linear_layers
from handlers.self_check import check_engine
from handlers.slot_cache import SlotCache, num_cache_layers
from handlers.step_graph import StepKind, compile_step
from tests.handlers import windowed_models
from tests.handlers.compiled_steps.compiled_llama import GREEDY, SLOTS, engine_of
from tests.handlers.compiled_steps.conftest import EVERY_LIBRARY
from tests.handlers.compiling import NEEDS_COMPILER
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.handlers.engine_answers import add, counted, generate, run
from tests.handlers.uncompiled_steps import compile_one_kind

pytestmark = NEEDS_COMPILER


def test_neither_a_prompt_nor_its_answer_calls_the_model(engine: Engine, model: PreTrainedModel) -> None:
    engine.submit("0", [1, 2, 3], 20, GREEDY)
    with counted(model) as tokens:
        run(engine)

    assert tokens == []


@pytest.mark.parametrize("length", [1, 2, 16, 17, 18, 90])
def test_a_prompt_of_any_length_is_computed_in_compiled_pieces(
    engine: Engine, model: PreTrainedModel, reference: PreTrainedModel, length: int
) -> None:
    """16 tokens are the longest piece here, and one of a single token is as a decode step."""
    assert isinstance(engine.forward_pass, CompiledForwardPass)
    engine.forward_pass.most_tokens = 16
    prompt = [(7 * position + length) % 50 for position in range(length)]
    engine.submit("0", prompt, 20, GREEDY)
    with counted(model) as tokens:
        answers = run(engine)

    assert answers["0"] == generate(reference, prompt, 20)
    assert tokens == []


def test_a_prompt_that_begins_as_another_one_is_computed_in_compiled_pieces_from_there_on(
    engine: Engine, model: PreTrainedModel, reference: PreTrainedModel
) -> None:
    prompts = [[*range(40), *(9 * number + own for own in range(25))] for number in range(2)]
    for number, prompt in enumerate(prompts):
        engine.submit(str(number), prompt, 10, GREEDY)
        with counted(model) as tokens:
            assert run(engine)[str(number)] == generate(reference, prompt, 10)
        assert tokens == []


def test_compiled_pieces_join_rows_that_run(engine: Engine, model: PreTrainedModel, reference: PreTrainedModel) -> None:
    """Pieces of 16 tokens: four of the second prompt beside one row, and two of the third one beside two."""
    prompts = {"0": [3, 5], "1": list(range(65)), "2": list(range(20, 53))}
    answers: dict[str, list[int]] = {}
    with counted(model) as tokens:
        for name, prompt in prompts.items():
            engine.submit(name, prompt, 30, GREEDY)
            while engine.takes_prompts:
                add(answers, engine.step())
        while engine.has_work:
            add(answers, engine.step())

    assert answers == {name: generate(reference, prompt, 30) for name, prompt in prompts.items()}
    assert tokens == []


def test_many_short_prompts_share_a_pass_of_the_model(
    engine: Engine, model: PreTrainedModel, reference: PreTrainedModel
) -> None:
    prompts = {str(number): [number, 5, 7] for number in range(SLOTS)}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)
    with counted(model) as tokens:
        answers = run(engine)

    assert answers == {name: generate(reference, prompt, 20) for name, prompt in prompts.items()}
    assert tokens == [3 * SLOTS]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_without_a_library_for_pieces_the_model_computes_them(
    libraries: Path, model: PreTrainedModel, reference: PreTrainedModel, tmp_path: Path, *, is_deleted: bool
) -> None:
    shutil.copytree(libraries, tmp_path, dirs_exist_ok=True)
    if is_deleted:
        leave_out_pieces(tmp_path)
    steps = CompiledSteps(tmp_path, model)
    engine = engine_of(model, steps if is_deleted else steps.without_pieces())
    prompt = list(range(20))
    engine.submit("0", prompt, 20, GREEDY)
    with counted(model) as tokens:
        answers = run(engine)

    assert answers["0"] == generate(reference, prompt, 20)
    assert tokens == [len(prompt)]
    check_engine(engine, reference)


def compile_with_pieces_failing(
    error: Exception, model: PreTrainedModel, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step is made: what is looked at is what becomes of the error."""

    def compile_step(_model: object, _states: object, directory: Path, kind: StepKind) -> None:
        if kind is StepKind.PIECE:
            raise error
        (directory / kind.value).touch()

    monkeypatch.setattr("handlers.compiled_steps.compile_step", compile_step)
    compile_all_steps(model, SLOTS, CONTEXT_LENGTH, directory)


@pytest.mark.parametrize("error", [RuntimeError, ValueError, TypeError, AssertionError])
def test_a_model_whose_pieces_cannot_be_compiled_has_compiled_decode_steps(
    error: type[Exception],
    llama: PreTrainedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    compile_with_pieces_failing(error("C++ compile error"), llama, tmp_path, monkeypatch)

    assert {file.name for file in tmp_path.iterdir()} == {"one_row.so", "more_rows.so"}
    assert "pieces of prompts are not compiled: C++ compile error" in caplog.text


def test_pieces_that_cannot_be_one_graph_are_an_error_that_leaves_compiled_decode_steps(
    llama: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TypeError("its tokens are counted in Python")

    monkeypatch.setattr(packed_attention, "_attend_piece", fail)
    cache = SlotCache(num_cache_layers(llama.config, CONTEXT_LENGTH), SLOTS, CONTEXT_LENGTH)
    allocate(llama, cache)

    with pytest.raises(_OF_THE_GRAPH, match="its tokens are counted in Python"):
        compile_step(llama, cache.states, tmp_path, StepKind.PIECE)


@pytest.mark.parametrize(
    "error",
    [
        OSError(ENOSPC, os.strerror(ENOSPC)),
        RuntimeError(f"C++ compile error: as: piece.o: {os.strerror(ENOSPC)}"),
        MemoryError(),
        RuntimeError("C++ compile error: g++: fatal error: Killed signal terminated program cc1plus"),
    ],
    ids=["disk", "the compiler's disk", "memory", "the compiler's memory"],
)
def test_pieces_that_fail_for_what_may_pass_end_the_build_so_that_another_one_has_them(
    error: Exception, llama: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(type(error)) as raised:
        compile_with_pieces_failing(error, llama, tmp_path, monkeypatch)

    assert raised.value is error


@pytest.mark.skipif(not EVERY_LIBRARY, reason="make soak runs it; test_attention_masks.py has it without a compiler")
def test_compiled_pieces_leave_sliding_windows(tmp_path: Path) -> None:
    model = windowed_models.make_model("gemma3")
    pack_linear_layers(model)
    length = windowed_models.CONTEXT_LENGTH
    steps = compile_one_kind(model, StepKind.PIECE, SLOTS, length, tmp_path)
    engine = Engine(model, (), slots=SLOTS, context_length=length, prefill_tokens=7, compiled_steps=steps)
    check_engine(engine, model)
    prompts = {str(length): list(range(length)) for length in (4, 20, 50)}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 12, GREEDY)

    assert run(engine) == {name: generate(model, prompt, 12) for name, prompt in prompts.items()}
    assert max(tokens for tokens, _ in steps.calls) > windowed_models.WINDOW
    assert steps.library_calls
