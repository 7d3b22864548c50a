"""A compiled step gives what the model gives. It needs a C++ compiler, as whoever makes one does."""

import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers import packed_attention
from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.compiled_library import CompiledLibrary
from handlers.compiled_steps import CompiledSteps, allocate, compile_all_steps, leave_out_pieces
from handlers.engine import Engine, Step
from handlers.fixed_positions import fix_positions
from handlers.linear_layers import pack_linear_layers
from handlers.model_loading import LoadedModel
from handlers.run_ahead import RunAhead
from handlers.sampling import SamplingParameters
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import SlotCache, UnsupportedModelError, num_cache_layers
from handlers.step_graph import StepKind, compile_step
from handlers.worker_engine import checked_engine, take_compiled_steps
from tests.handlers import longrope, windowed_models
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.conftest import CONTEXT_LENGTH, make_model, random_model
from tests.handlers.engine_answers import add, counted, generate, run
from tests.handlers.uncompiled_steps import UncompiledSteps
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
    # Inductor's own use of what torch gives up.
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),
]

SLOTS, PREFIX_SLOTS = 4, 1
MOST_BYTES = 5_000_000  # of a library
GREEDY = SamplingParameters()


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    """As a worker has it."""
    return packed(make_model("llama"))


def packed(model: PreTrainedModel) -> PreTrainedModel:
    pack_linear_layers(model)
    return model


@pytest.fixture(scope="module")
def libraries(model: PreTrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("steps")
    compile_all_steps(model, SLOTS + PREFIX_SLOTS, CONTEXT_LENGTH, directory)
    return directory


@pytest.fixture
def steps(libraries: Path, model: PreTrainedModel) -> CompiledSteps:
    return CompiledSteps(libraries, model)


@pytest.fixture
def engine(model: PreTrainedModel, steps: CompiledSteps) -> Engine:
    return engine_of(model, steps)


def engine_of(model: PreTrainedModel, steps: CompiledSteps) -> Engine:
    return Engine(
        model,
        (),
        slots=SLOTS,
        context_length=CONTEXT_LENGTH,
        prefill_tokens=16,
        prefix_slots=PREFIX_SLOTS,
        compiled_steps=steps,
    )


@pytest.mark.parametrize("requests", [1, 2, 4])
def test_answers_are_those_of_the_model(engine: Engine, llama: PreTrainedModel, requests: int) -> None:
    prompts = {str(number): [7 * number + 3, *range(9 * number)] for number in range(requests)}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)

    assert run(engine) == {name: generate(llama, prompt, 20) for name, prompt in prompts.items()}


def test_a_library_is_that_of_every_model_of_its_shape(libraries: Path) -> None:
    """Its weights are the model's own, wherever they lie."""
    other = make_model("llama")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.copy_(parameter.flip(0))
    prompts = {"0": [3, 5, 7], "1": list(range(20))}
    expected = {name: generate(other, prompt, 20) for name, prompt in prompts.items()}
    engine = engine_of(packed(other), CompiledSteps(libraries, other))
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)

    assert run(engine) == expected


def test_a_library_is_small_and_holds_nothing_of_the_model(libraries: Path, model: PreTrainedModel) -> None:
    weight = model.get_input_embeddings().weight
    some = weight[0].detach().numpy().tobytes()
    for library in libraries.iterdir():
        content = library.read_bytes()
        assert len(content) < MOST_BYTES
        assert some not in content


def test_an_answer_goes_on_to_the_end_of_the_context(engine: Engine, llama: PreTrainedModel) -> None:
    prompt = list(range(20))
    engine.submit("0", prompt, CONTEXT_LENGTH, GREEDY)

    assert run(engine)["0"] == generate(llama, prompt, CONTEXT_LENGTH - len(prompt))


def test_rows_of_unlike_length_are_read_no_further_than_they_reach(
    engine: Engine, llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine._group_cost = lambda: 20.0
    prompts = {"short": [3, 5], "long": list(range(90)), "shorter": [7], "also short": [9, 9, 9]}
    shapes: list[tuple[int, int]] = []
    own = CompiledSteps.__call__

    def count(steps: CompiledSteps, tokens: Tensor, positions: Tensor, mask: Tensor, states: list[Tensor]) -> Tensor:
        shapes.append((len(tokens), mask.shape[-1]))
        return own(steps, tokens, positions, mask, states)

    monkeypatch.setattr(CompiledSteps, "__call__", count)
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)
    answers: dict[str, list[int]] = {}
    while engine.takes_prompts:
        add(answers, engine.step())
    shapes.clear()
    while engine.has_work:
        add(answers, engine.step())

    assert answers == {name: generate(llama, prompt, 20) for name, prompt in prompts.items()}
    rows, lengths = zip(*shapes[:3], strict=True)
    assert rows == (1, 1, 2)
    assert lengths[1] > len(prompts["long"]) > max(lengths[0], lengths[2])


def test_neither_a_prompt_nor_its_answer_calls_the_model(engine: Engine, model: PreTrainedModel) -> None:
    engine.submit("0", [1, 2, 3], 20, GREEDY)
    with counted(model) as tokens:
        run(engine)

    assert tokens == []


@pytest.mark.parametrize("length", [1, 2, 16, 17, 18, 90])
def test_a_prompt_of_any_length_is_computed_in_compiled_pieces(
    engine: Engine, model: PreTrainedModel, llama: PreTrainedModel, length: int
) -> None:
    """16 tokens are the longest piece here, and one of a single token is as a decode step."""
    assert isinstance(engine.forward_pass, CompiledForwardPass)
    engine.forward_pass.most_tokens = 16
    prompt = [(7 * position + length) % 50 for position in range(length)]
    engine.submit("0", prompt, 20, GREEDY)
    with counted(model) as tokens:
        answers = run(engine)

    assert answers["0"] == generate(llama, prompt, 20)
    assert tokens == []


def test_a_prompt_that_begins_as_another_one_is_computed_in_compiled_pieces_from_there_on(
    engine: Engine, model: PreTrainedModel, llama: PreTrainedModel
) -> None:
    prompts = [[*range(40), *(9 * number + own for own in range(25))] for number in range(2)]
    for number, prompt in enumerate(prompts):
        engine.submit(str(number), prompt, 10, GREEDY)
        with counted(model) as tokens:
            assert run(engine)[str(number)] == generate(llama, prompt, 10)
        assert tokens == []


def test_compiled_pieces_join_rows_that_run(engine: Engine, model: PreTrainedModel, llama: PreTrainedModel) -> None:
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

    assert answers == {name: generate(llama, prompt, 30) for name, prompt in prompts.items()}
    assert tokens == []


def test_many_short_prompts_share_a_pass_of_the_model(
    engine: Engine, model: PreTrainedModel, llama: PreTrainedModel
) -> None:
    prompts = {str(number): [number, 5, 7] for number in range(SLOTS)}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)
    with counted(model) as tokens:
        answers = run(engine)

    assert answers == {name: generate(llama, prompt, 20) for name, prompt in prompts.items()}
    assert tokens == [3 * SLOTS]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_without_a_library_for_pieces_the_model_computes_them(
    libraries: Path, model: PreTrainedModel, llama: PreTrainedModel, tmp_path: Path, *, is_deleted: bool
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

    assert answers["0"] == generate(llama, prompt, 20)
    assert tokens == [len(prompt)]
    check_engine(engine, llama)


def touch(*_: object, options: dict[str, str]) -> None:
    """As torch's compiler, without a library."""
    Path(options["aot_inductor.output_path"]).touch()


@pytest.mark.parametrize("error", [RuntimeError, ValueError, TypeError, AssertionError])
def test_a_model_whose_pieces_cannot_be_one_graph_has_compiled_decode_steps(
    error: type[Exception],
    llama: PreTrainedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("its tokens are counted in Python")

    monkeypatch.setattr(packed_attention, "_attend_piece", fail)
    monkeypatch.setattr(torch._inductor, "aot_compile", touch)
    compile_all_steps(llama, SLOTS, CONTEXT_LENGTH, tmp_path)

    assert {file.name for file in tmp_path.iterdir()} == {"one_row.so", "more_rows.so"}
    assert "its tokens are counted in Python" in caplog.text


def compile_with_pieces_failing(
    error: Exception, model: PreTrainedModel, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_at_pieces(*_: object, options: dict[str, str]) -> None:
        touch(options=options)
        if Path(options["aot_inductor.output_path"]).name == StepKind.PIECE.value:
            raise error

    monkeypatch.setattr(torch._inductor, "aot_compile", fail_at_pieces)
    compile_all_steps(model, SLOTS, CONTEXT_LENGTH, directory)


def test_pieces_that_the_compiler_refuses_leave_compiled_decode_steps(
    llama: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compile_with_pieces_failing(RuntimeError("C++ compile error"), llama, tmp_path, monkeypatch)

    assert {file.name for file in tmp_path.iterdir()} == {"one_row.so", "more_rows.so"}
    assert "pieces of prompts are not compiled: C++ compile error" in caplog.text


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


def test_compiled_pieces_leave_sliding_windows(tmp_path: Path) -> None:
    model = packed(windowed_models.make_model("gemma3"))
    length = windowed_models.CONTEXT_LENGTH
    cache = SlotCache(num_cache_layers(model.config, length), SLOTS, length)
    allocate(model, cache)
    compile_step(model, cache.states, tmp_path, StepKind.PIECE)
    steps = UncompiledSteps(model, length, CompiledLibrary(tmp_path / StepKind.PIECE.value))
    engine = Engine(model, (), slots=SLOTS, context_length=length, prefill_tokens=7, compiled_steps=steps)
    check_engine(engine, model)
    prompts = {str(length): list(range(length)) for length in (4, 20, 50)}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 12, GREEDY)

    assert run(engine) == {name: generate(model, prompt, 12) for name, prompt in prompts.items()}
    assert max(tokens for tokens, _ in steps.calls) > windowed_models.WINDOW


def test_the_self_check_takes_the_compiled_steps_too(engine: Engine, llama: PreTrainedModel) -> None:
    check_engine(engine, llama)


@pytest.mark.parametrize("broken", ["_one_row", "_more_rows", "_piece"])
def test_steps_of_other_weights_are_refused(
    engine: Engine, llama: PreTrainedModel, steps: CompiledSteps, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: CompiledLibrary = getattr(steps, broken)
    monkeypatch.setattr(steps, broken, lambda inputs: own(inputs).flip(-1))

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine(engine, llama)


def test_beyond_an_original_context_an_answer_depends_on_nobody_else(
    tmp_path: Path,
) -> None:
    config = longrope.phi3()
    # A build takes as long as there are layers, and positions are all that is special here.
    config.num_hidden_layers = 1
    model = random_model(config)
    fix_positions(model, longrope.CONTEXT_LENGTH)
    compile_all_steps(model, SLOTS, longrope.CONTEXT_LENGTH, tmp_path)
    engine = Engine(
        model, (), slots=SLOTS, context_length=longrope.CONTEXT_LENGTH, compiled_steps=CompiledSteps(tmp_path, model)
    )
    prompts = {"short": [3, 5, 7], "crossing": list(range(25)), "long": list(range(60))}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)

    assert run(engine) == {name: generate(model, prompt, 20) for name, prompt in prompts.items()}


def test_other_threads_run_while_a_step_computes(steps: CompiledSteps) -> None:
    """Torch's own loader would keep them waiting until its end, so that none of their turns fell into a step."""
    states = [torch.zeros(SLOTS + PREFIX_SLOTS, 2, CONTEXT_LENGTH, 16) for _ in range(6)]
    first = torch.zeros(1, 1, dtype=torch.long)
    is_inside, turns = threading.Event(), 0

    @contextmanager
    def other_thread() -> Iterator[None]:
        def count() -> None:
            nonlocal turns
            while not is_over.is_set():
                turns += is_inside.is_set()

        is_over = threading.Event()
        thread = threading.Thread(target=count)
        thread.start()
        yield
        is_over.set()
        thread.join()

    with other_thread(), torch.inference_mode():
        for _ in range(1_000):
            is_inside.set()
            steps(first, first, torch.zeros(1, 1, 1, 1), states)
            is_inside.clear()
            if turns:
                break
    assert turns


def test_a_model_with_an_attention_of_its_own_has_no_compiled_step(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="no compiled step"):
        compile_all_steps(make_model("gptj"), SLOTS, CONTEXT_LENGTH, tmp_path)


def test_a_cache_of_two_rows_has_no_compiled_step(llama: PreTrainedModel, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="takes 3 slots and prefix_slots, not 2"):
        compile_all_steps(llama, 2, CONTEXT_LENGTH, tmp_path)


def test_a_file_that_is_no_library_is_refused(llama: PreTrainedModel, tmp_path: Path) -> None:
    (tmp_path / "one_row.so").write_bytes(b"\x7fELF")

    with pytest.raises(OSError, match=r"one_row\.so"):
        CompiledSteps(tmp_path, llama)


def make_uncompiled_engine(llama: PreTrainedModel) -> Engine:
    """One that has run, as a worker's has when its steps are compiled."""
    engine = Engine(llama, (), slots=SLOTS, context_length=CONTEXT_LENGTH, prefill_tokens=16, prefix_slots=PREFIX_SLOTS)
    check_engine(engine, llama)
    return engine


def test_requests_that_run_go_on_in_compiled_steps_with_the_same_answers(
    llama: PreTrainedModel, steps: CompiledSteps
) -> None:
    def answers_of(engine: Engine, *, is_compiled_meanwhile: bool) -> dict[str, list[int]]:
        for number in range(2 * SLOTS):  # half of them wait for a slot
            sampled = SamplingParameters(temperature=0.8, top_p=0.9, seed=number)
            prompt = [7 * number + 3, *range(9 * number)]
            engine.submit(str(number), prompt, 20 + 3 * number, sampled if number % 2 else GREEDY)
        answers: dict[str, list[int]] = {}
        for _ in range(10):
            add(answers, engine.step())
        assert len(answers) == SLOTS
        if is_compiled_meanwhile:
            engine.use_compiled_steps(llama, steps)
        while engine.has_work:
            add(answers, engine.step())
        return answers

    own = answers_of(make_uncompiled_engine(llama), is_compiled_meanwhile=False)

    engine = make_uncompiled_engine(llama)
    assert answers_of(engine, is_compiled_meanwhile=True) == own
    assert own["2"] == generate(llama, [17, *range(18)], 26)
    assert isinstance(engine.forward_pass, CompiledForwardPass)


def loaded(llama: PreTrainedModel) -> LoadedModel:
    return LoadedModel(llama, character_tokenizer(), frozenset(), CONTEXT_LENGTH)


def test_a_worker_checks_and_takes_them_between_the_steps_of_a_request(
    llama: PreTrainedModel, steps: CompiledSteps
) -> None:
    engine = make_uncompiled_engine(llama)
    run_ahead = RunAhead(engine, max_uncollected=4)
    settings = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS)
    prompt, answers, outcome = [3, 5, 7], {}, Future[None]()
    run_ahead.submit("0", prompt, CONTEXT_LENGTH - 3, GREEDY)
    while "0" not in answers:
        for step in run_ahead.collect(1.0):
            assert isinstance(step, Step)
            add(answers, step)
    before = len(answers["0"])

    run_ahead.between_steps(take_compiled_steps(engine, loaded(llama), settings, steps, outcome))
    during = None
    while len(answers["0"]) < CONTEXT_LENGTH - 3:
        for step in run_ahead.collect(1.0):
            assert isinstance(step, Step)
            add(answers, step)
        if during is None and outcome.done():
            during = len(answers["0"])
    outcome.result(PATIENCE)
    run_ahead.close()

    assert answers["0"] == generate(llama, prompt, CONTEXT_LENGTH - 3)
    assert isinstance(engine.forward_pass, CompiledForwardPass)
    assert before < (during or 0) < CONTEXT_LENGTH - 3  # it had tokens while the check ran, and after it


def test_an_idle_worker_leaves_out_those_that_fail_the_check(
    llama: PreTrainedModel, steps: CompiledSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: CompiledLibrary = steps._more_rows
    monkeypatch.setattr(steps, "_more_rows", lambda inputs: own(inputs).flip(-1))
    engine = make_uncompiled_engine(llama)
    forward_pass = engine.forward_pass
    run_ahead = RunAhead(engine)
    settings, outcome = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS), Future[None]()

    run_ahead.between_steps(take_compiled_steps(engine, loaded(llama), settings, steps, outcome))

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        outcome.result(PATIENCE)
    run_ahead.close()
    assert engine.forward_pass is forward_pass


@pytest.fixture
def steps_of_wrong_pieces(steps: CompiledSteps, monkeypatch: pytest.MonkeyPatch) -> CompiledSteps:
    own: CompiledLibrary = steps._piece
    monkeypatch.setattr(steps, "_piece", lambda inputs: own(inputs).flip(-1))
    return steps


def test_a_worker_that_runs_takes_the_decode_steps_alone_where_pieces_fail_the_check(
    llama: PreTrainedModel, steps_of_wrong_pieces: CompiledSteps, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_uncompiled_engine(llama)
    run_ahead = RunAhead(engine)
    settings, outcome = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS), Future[None]()

    run_ahead.between_steps(take_compiled_steps(engine, loaded(llama), settings, steps_of_wrong_pieces, outcome))
    outcome.result(PATIENCE)
    run_ahead.close()

    assert isinstance(engine.forward_pass, CompiledForwardPass)
    assert not engine.forward_pass.has_pieces
    assert "the compiled pieces of prompts are left out: " in caplog.text


def test_a_worker_that_loads_takes_the_decode_steps_alone_where_pieces_fail_the_check(
    llama: PreTrainedModel, steps_of_wrong_pieces: CompiledSteps, caplog: pytest.LogCaptureFixture
) -> None:
    settings = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS)

    engine = checked_engine(loaded(llama), settings, steps_of_wrong_pieces)

    assert isinstance(engine.forward_pass, CompiledForwardPass)
    assert not engine.forward_pass.has_pieces
    assert "the compiled pieces of prompts are left out: " in caplog.text


def test_model_whose_layers_share_keys_and_values_is_refused(tmp_path: Path) -> None:
    model = windowed_models.make_model("gemma3n")

    with pytest.raises(UnsupportedModelError, match="the keys and values of others: no compiled step"):
        compile_all_steps(model, SLOTS, windowed_models.CONTEXT_LENGTH, tmp_path)
