"""A compiled step gives what the model gives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers.compiled_library import CompiledLibrary
from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.fixed_positions import fix_positions
from handlers.linear_layers import pack_linear_layers
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.step_graph import StepKind
from tests.handlers import longrope
from tests.handlers.compiled_steps.compiled_llama import GREEDY, PREFIX_SLOTS, SLOTS, engine_of
from tests.handlers.compiled_steps.conftest import EVERY_LIBRARY
from tests.handlers.compiling import NEEDS_COMPILER
from tests.handlers.conftest import CONTEXT_LENGTH, random_model
from tests.handlers.engine_answers import add, counted, generate, run
from tests.handlers.uncompiled_steps import UncompiledSteps, compile_one_kind

pytestmark = NEEDS_COMPILER

MOST_BYTES = 5_000_000  # of a library


@pytest.mark.parametrize("requests", [1, 2, 4])
def test_answers_are_those_of_the_model(engine: Engine, reference: PreTrainedModel, requests: int) -> None:
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
def test_a_step_without_a_prompt_is_a_compiled_one(engine: Engine, model: PreTrainedModel, requests: int) -> None:
    for number in range(requests):
        engine.submit(str(number), [number + 1, 2, 3], 2, GREEDY)
    while not engine.step():
        pass
    with counted(model) as tokens:
        run(engine)

    assert tokens == []


def test_a_library_is_that_of_every_model_of_its_shape(
    libraries: Path, plain: Callable[[], PreTrainedModel], settings: HandlerSettings
) -> None:
    """Its weights are the model's own, wherever they lie."""
    other = plain()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.copy_(parameter.flip(0))
    prompts = {"0": [3, 5, 7], "1": list(range(20))}
    expected = {name: generate(other, prompt, 20) for name, prompt in prompts.items()}
    pack_linear_layers(other, int8=settings.quantization == "int8")
    engine = engine_of(other, CompiledSteps(libraries, other))
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)

    assert run(engine) == expected


def test_a_library_is_small_and_holds_nothing_of_the_model(libraries: Path, model: PreTrainedModel) -> None:
    tensors = [*model.parameters(), *(each for each in model.buffers() if each.dtype is torch.int8)]
    some = [each.detach().flatten()[:64].numpy().tobytes() for each in tensors if each.ndim == 2]
    assert some
    for library in libraries.iterdir():
        content = library.read_bytes()
        assert len(content) < MOST_BYTES
        assert not any(each in content for each in some)


def test_an_answer_goes_on_to_the_end_of_the_context(engine: Engine, reference: PreTrainedModel) -> None:
    prompt = list(range(20))
    engine.submit("0", prompt, CONTEXT_LENGTH, GREEDY)

    assert run(engine)["0"] == generate(reference, prompt, CONTEXT_LENGTH - len(prompt))


def test_rows_of_unlike_length_are_read_no_further_than_they_reach(
    engine: Engine, reference: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
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

    assert answers == {name: generate(reference, prompt, 20) for name, prompt in prompts.items()}
    rows, lengths = zip(*shapes[:3], strict=True)
    assert rows == (1, 1, 2)
    assert lengths[1] > len(prompts["long"]) > max(lengths[0], lengths[2])


def test_the_self_check_takes_the_compiled_steps_too(engine: Engine, reference: PreTrainedModel) -> None:
    check_engine(engine, reference)


@pytest.mark.parametrize("broken", ["_one_row", "_more_rows", "_piece"])
def test_steps_of_other_weights_are_refused(
    engine: Engine, reference: PreTrainedModel, steps: CompiledSteps, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: CompiledLibrary = getattr(steps, broken)
    monkeypatch.setattr(steps, broken, lambda inputs: own(inputs).flip(-1))

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check_engine(engine, reference)


def test_beyond_an_original_context_an_answer_depends_on_nobody_else(tmp_path: Path) -> None:
    """As one graph, which `make soak` compiles."""
    config = longrope.phi3()
    # A build takes as long as there are layers, and positions are all that is special here.
    config.num_hidden_layers = 1
    model = random_model(config)
    fix_positions(model, longrope.CONTEXT_LENGTH)
    steps = UncompiledSteps(model, longrope.CONTEXT_LENGTH)
    if EVERY_LIBRARY:
        steps = compile_one_kind(model, StepKind.MORE_ROWS, SLOTS, longrope.CONTEXT_LENGTH, tmp_path)
    engine = Engine(model, (), slots=SLOTS, context_length=longrope.CONTEXT_LENGTH, compiled_steps=steps)
    prompts = {"short": [3, 5, 7], "crossing": list(range(25)), "long": list(range(60))}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 20, GREEDY)

    assert run(engine) == {name: generate(model, prompt, 20) for name, prompt in prompts.items()}
    assert (len(prompts) in steps.library_calls) == EVERY_LIBRARY


def test_other_threads_run_while_a_step_computes(steps: CompiledSteps) -> None:
    """Torch's own loader would keep them waiting until its end, so that none of their turns fell into a step."""
    states = [torch.zeros(SLOTS + PREFIX_SLOTS, 2, CONTEXT_LENGTH, 16) for _ in range(4)]
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
