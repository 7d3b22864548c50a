"""On the engine's own thread: what it sets is what steps have, and looks are for when nothing else is to do."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.engine_news import Step
from handlers.run_ahead import RunAhead
from handlers.sampling import SamplingParameters
from handlers.step_threads import StepThreads, fixed_threads
from handlers.thread_choice import ThreadChoice
from tests.handlers.fake_frontend import FakeFrontend
from tests.waiting import PATIENCE, wait_until

GREEDY = SamplingParameters()
TINY = Path(__file__).parents[2] / "models" / "tiny"
AT_ONCE = (0.0, 0.0)


@pytest.fixture(autouse=True)
def one_thread_afterwards() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


class SeenSteps:
    """The threads that steps had, and those of sample steps."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.of_steps: set[int] = set()
        self.of_looks: list[int] = []
        self.engine = Engine(model, [], slots=4, context_length=128)
        model.register_forward_pre_hook(lambda *_: self.of_steps.add(torch.get_num_threads()))

    def sample_step(self) -> None:
        assert threading.current_thread().name == "engine"
        self.of_looks.append(torch.get_num_threads())


@pytest.fixture
def seen(llama: PreTrainedModel) -> Iterator[SeenSteps]:
    yield SeenSteps(llama)
    llama._forward_pre_hooks.clear()


@pytest.fixture
def run(seen: SeenSteps) -> Iterator[Callable[[StepThreads], RunAhead]]:
    made: list[RunAhead] = []

    def make(threads: StepThreads) -> RunAhead:
        made.append(RunAhead(seen.engine, silence=PATIENCE, threads=threads))
        return made[-1]

    yield make
    for run_ahead in made:
        run_ahead.close()


def answer(run_ahead: RunAhead) -> list[int]:
    run_ahead.submit("a", [1, 2, 3], 20, GREEDY)
    tokens: list[int] = []
    while len(tokens) < 20:
        for step in run_ahead.collect(PATIENCE):
            assert isinstance(step, Step)
            tokens += step.tokens
    return tokens


@pytest.mark.parametrize("count", [1, 2])
def test_a_fixed_number_is_set_in_the_engines_thread_and_never_looked_at(
    count: int, seen: SeenSteps, run: Callable[[StepThreads], RunAhead]
) -> None:
    threads = fixed_threads(count)
    answer(run(threads))
    assert seen.of_steps == {count}
    assert threads.until_look() is None


def test_an_idle_engine_looks_at_each_number(seen: SeenSteps, run: Callable[[StepThreads], RunAhead]) -> None:
    run(StepThreads(ThreadChoice((1, 2), 1), seen.sample_step, pauses=(0.0, 1e6)))
    wait_until(lambda: len(seen.of_looks) >= 8)
    assert set(seen.of_looks[:8]) == {1, 2}


def test_a_request_is_answered_alike_between_looks_without_end(
    seen: SeenSteps, run: Callable[[StepThreads], RunAhead]
) -> None:
    first = run(fixed_threads(1))
    undisturbed = answer(first)
    first.close()
    run_ahead = run(StepThreads(ThreadChoice((1, 2), 1), seen.sample_step, pauses=AT_ONCE))
    wait_until(lambda: len(seen.of_looks) >= 3)

    assert answer(run_ahead) == undisturbed
    seen.of_looks.clear()
    wait_until(lambda: len(seen.of_looks) >= 3)  # and it looks on


def test_no_look_while_a_request_runs(seen: SeenSteps, run: Callable[[StepThreads], RunAhead]) -> None:
    order: list[str] = []
    step = seen.engine.step

    def recorded_step() -> Step | None:
        order.append("step")
        return step()

    seen.engine.step = recorded_step  # type: ignore[method-assign]
    run_ahead = run(StepThreads(ThreadChoice((1, 2), 1), lambda: order.append("look"), pauses=AT_ONCE))
    wait_until(lambda: bool(order))
    answer(run_ahead)

    first = order.index("step")
    assert order[first : first + 20] == ["step"] * 20


def test_what_a_request_would_wait_for_too_long_is_looked_at_once_only(
    seen: SeenSteps, run: Callable[[StepThreads], RunAhead]
) -> None:
    threads = StepThreads(ThreadChoice((1, 2), 1), seen.sample_step, pauses=(0.0, 1e6), longest_wait=0.0)
    run(threads)
    wait_until(lambda: bool(seen.of_looks) and threads.until_look() is None)
    assert len(seen.of_looks) == 1


def test_a_prompt_has_the_chosen_number_also_while_another_one_is_tried(seen: SeenSteps) -> None:
    choice = ThreadChoice((1, 2), 1)
    threads = StepThreads(choice, seen.sample_step)
    choice.look()
    assert choice.threads == 2
    seen.engine.submit("a", [1, 2, 3], 2, GREEDY)

    threads.step(seen.engine)

    assert seen.of_steps == {1}


@pytest.mark.parametrize(("wanted", "expected"), [(None, 2), (1, 1)])
def test_a_worker_measures_them_unless_it_is_told(
    wanted: int | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("handlers.step_threads.thread_counts", lambda _: (2,))
    (tmp_path / "model").symlink_to(TINY)
    with caplog.at_level(logging.INFO, "handlers"):
        FakeFrontend(tmp_path, threads=wanted).close()
    assert f", {expected} threads, " in caplog.text
