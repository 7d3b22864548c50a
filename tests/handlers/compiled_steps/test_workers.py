"""A worker that runs, or loads, takes compiled steps that pass its check, and goes on without those that do not."""

from concurrent.futures import Future
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.compiled_library import CompiledLibrary
from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine, Step
from handlers.model_loading import LoadedModel
from handlers.run_ahead import RunAhead
from handlers.sampling import SamplingParameters
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import checked_engine, has_compiled_steps, take_compiled_steps
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.compiled_steps.compiled_llama import GREEDY, PREFIX_SLOTS, SLOTS, engine_of
from tests.handlers.compiling import NEEDS_COMPILER
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.handlers.engine_answers import add, generate
from tests.handlers.fake_frontend import FakeFrontend
from tests.waiting import PATIENCE

pytestmark = NEEDS_COMPILER


def make_uncompiled_engine(reference: PreTrainedModel) -> Engine:
    """One that has run, as a worker's has when its steps are compiled."""
    engine = engine_of(reference, None)
    check_engine(engine, reference)
    return engine


def test_requests_that_run_go_on_in_compiled_steps_with_the_same_answers(
    reference: PreTrainedModel, steps: CompiledSteps
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
            engine.use_compiled_steps(reference, steps)
        while engine.has_work:
            add(answers, engine.step())
        return answers

    own = answers_of(make_uncompiled_engine(reference), is_compiled_meanwhile=False)

    engine = make_uncompiled_engine(reference)
    assert answers_of(engine, is_compiled_meanwhile=True) == own
    assert own["2"] == generate(reference, [17, *range(18)], 26)
    assert isinstance(engine.forward_pass, CompiledForwardPass)


def test_a_worker_takes_what_is_there_when_it_loads(
    archive: Path, libraries: Path, settings: HandlerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(libraries.parent))
    (tmp_path / "model").symlink_to(archive / "model")
    handler = settings.model_dump(include={"prefix_slots", "quantization", "dtype"})
    frontend = FakeFrontend(tmp_path, slots=SLOTS, **handler)
    frontend.close()

    assert has_compiled_steps(frontend.handler._engine)


def loaded(reference: PreTrainedModel) -> LoadedModel:
    return LoadedModel(reference, character_tokenizer(), frozenset(), CONTEXT_LENGTH)


def test_a_worker_checks_and_takes_them_between_the_steps_of_a_request(
    reference: PreTrainedModel, steps: CompiledSteps
) -> None:
    engine = make_uncompiled_engine(reference)
    run_ahead = RunAhead(engine, max_uncollected=4)
    settings = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS)
    prompt, answers, outcome = [3, 5, 7], {}, Future[None]()
    run_ahead.submit("0", prompt, CONTEXT_LENGTH - 3, GREEDY)
    while "0" not in answers:
        for step in run_ahead.collect(1.0):
            assert isinstance(step, Step)
            add(answers, step)
    before = len(answers["0"])

    run_ahead.between_steps(take_compiled_steps(engine, loaded(reference), settings, steps, outcome))
    during = None
    while len(answers["0"]) < CONTEXT_LENGTH - 3:
        for step in run_ahead.collect(1.0):
            assert isinstance(step, Step)
            add(answers, step)
        if during is None and outcome.done():
            during = len(answers["0"])
    outcome.result(PATIENCE)
    run_ahead.close()

    assert answers["0"] == generate(reference, prompt, CONTEXT_LENGTH - 3)
    assert isinstance(engine.forward_pass, CompiledForwardPass)
    assert before < (during or 0) < CONTEXT_LENGTH - 3  # it had tokens while the check ran, and after it


def test_an_idle_worker_leaves_out_those_that_fail_the_check(
    reference: PreTrainedModel, steps: CompiledSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: CompiledLibrary = steps._more_rows
    monkeypatch.setattr(steps, "_more_rows", lambda inputs: own(inputs).flip(-1))
    engine = make_uncompiled_engine(reference)
    forward_pass = engine.forward_pass
    run_ahead = RunAhead(engine)
    settings, outcome = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS), Future[None]()

    run_ahead.between_steps(take_compiled_steps(engine, loaded(reference), settings, steps, outcome))

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
    reference: PreTrainedModel, steps_of_wrong_pieces: CompiledSteps, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_uncompiled_engine(reference)
    run_ahead = RunAhead(engine)
    settings, outcome = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS), Future[None]()

    run_ahead.between_steps(take_compiled_steps(engine, loaded(reference), settings, steps_of_wrong_pieces, outcome))
    outcome.result(PATIENCE)
    run_ahead.close()

    assert isinstance(engine.forward_pass, CompiledForwardPass)
    assert not engine.forward_pass.has_pieces
    assert "the compiled pieces of prompts are left out: " in caplog.text


def test_a_worker_that_loads_takes_the_decode_steps_alone_where_pieces_fail_the_check(
    reference: PreTrainedModel, steps_of_wrong_pieces: CompiledSteps, caplog: pytest.LogCaptureFixture
) -> None:
    settings = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS)

    engine = checked_engine(loaded(reference), settings, steps_of_wrong_pieces)

    assert isinstance(engine.forward_pass, CompiledForwardPass)
    assert not engine.forward_pass.has_pieces
    assert "the compiled pieces of prompts are left out: " in caplog.text
