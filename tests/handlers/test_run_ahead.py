"""The engine's thread: how far it runs ahead, when it pauses, what it forgets, how it fails."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from transformers import PreTrainedModel

from handlers.engine import Engine, Step
from handlers.run_ahead import Failure, RunAhead
from handlers.sampling import SamplingParameters
from tests.waiting import PATIENCE, wait_until

GREEDY = SamplingParameters()


class CountingEngine(Engine):
    """Counts its steps, and fails when told to."""

    failure: Exception | None = None
    num_steps = 0
    go_on: threading.Event | None = None
    """What every step but the first waits for."""

    def step(self) -> Step | None:
        if self.go_on is not None and self.num_steps:
            self.go_on.wait(PATIENCE / 10)
        if self.failure is not None:
            raise self.failure
        self.num_steps += 1
        return super().step()


@pytest.fixture
def engine(llama: PreTrainedModel) -> CountingEngine:
    return CountingEngine(llama, [], slots=4, context_length=128)


@pytest.fixture
def run(engine: CountingEngine) -> Iterator[Callable[..., RunAhead]]:
    made: list[RunAhead] = []

    def make(**bounds: float) -> RunAhead:
        made.append(RunAhead(engine, **bounds))
        return made[-1]

    yield make
    for run_ahead in made:
        run_ahead.close()


def wait_until_paused(engine: CountingEngine) -> None:
    def is_still() -> bool:
        before = engine.num_steps
        time.sleep(0.5)
        return engine.num_steps == before

    wait_until(is_still)


def collect_all(run_ahead: RunAhead, request_id: str) -> list[int]:
    tokens: list[int] = []
    is_ended = False
    while not is_ended:
        for step in run_ahead.collect(1.0):
            assert isinstance(step, Step)
            tokens += [token for owner, token in zip(step.ids, step.tokens, strict=True) if owner == request_id]
            is_ended |= request_id in step.ended
    return tokens


def reference(model: PreTrainedModel, prompt: list[int], max_new_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_new_tokens)
    return output[0, len(prompt) :].tolist()


def test_decodes_on_without_being_called(engine: CountingEngine, run: Callable[..., RunAhead]) -> None:
    run_ahead = run(silence=PATIENCE)
    run_ahead.submit("a", [1, 2], 20, GREEDY)

    wait_until(lambda: engine.num_steps == 20)

    assert len(collect_all(run_ahead, "a")) == 20


def test_steps_come_together_while_nothing_is_urgent(run: Callable[..., RunAhead]) -> None:
    run_ahead = run(silence=PATIENCE)
    run_ahead.submit("a", [1, 2], 20, GREEDY, is_awaited=False)

    assert len(run_ahead.collect(PATIENCE, PATIENCE)) == 20


def test_first_token_that_is_awaited_comes_at_once(engine: CountingEngine, run: Callable[..., RunAhead]) -> None:
    engine.go_on = threading.Event()
    run_ahead = run(silence=PATIENCE)
    run_ahead.submit("a", [1, 2], 20, GREEDY)
    first = run_ahead.collect(PATIENCE, PATIENCE)
    engine.go_on.set()

    assert len(first) == 1
    assert len(run_ahead.collect(PATIENCE, PATIENCE)) == 19


def test_end_and_failure_come_at_once(engine: CountingEngine, run: Callable[..., RunAhead]) -> None:
    run_ahead = run(silence=PATIENCE)
    run_ahead.submit("a", [1, 2], 1, GREEDY, is_awaited=False)
    [step] = run_ahead.collect(PATIENCE, PATIENCE)
    engine.failure = RuntimeError("broken")
    run_ahead.submit("b", [1, 2], 5, GREEDY, is_awaited=False)

    assert isinstance(step, Step)
    assert step.ended == {"a": "length"}
    assert run_ahead.collect(PATIENCE, PATIENCE) == [Failure(["b"], engine.failure)]


def test_pauses_when_the_bound_of_uncollected_steps_is_reached(
    engine: CountingEngine, run: Callable[..., RunAhead], llama: PreTrainedModel
) -> None:
    run_ahead = run(silence=PATIENCE, max_uncollected=8)
    run_ahead.submit("a", [1, 2], 30, GREEDY)
    wait_until_paused(engine)

    assert engine.num_steps == 8
    assert collect_all(run_ahead, "a") == reference(llama, [1, 2], 30)


def test_pauses_in_silence_and_goes_on_unchanged_when_called_again(
    engine: CountingEngine, run: Callable[..., RunAhead], llama: PreTrainedModel
) -> None:
    run_ahead = run(silence=0.0)
    run_ahead.submit("a", [1, 2], 30, GREEDY)
    wait_until_paused(engine)

    assert engine.num_steps <= 2
    run_ahead._silence = PATIENCE
    assert collect_all(run_ahead, "a") == reference(llama, [1, 2], 30)


def test_forgets_its_requests_when_nobody_calls_for_long(run: Callable[..., RunAhead]) -> None:
    run_ahead = run(silence=0.0, abandon=0.1)
    run_ahead.submit("a", [1, 2], 100, GREEDY)

    wait_until(lambda: any(isinstance(item, Failure) for item in run_ahead._news))
    *_, failure = run_ahead.collect(0)

    assert isinstance(failure, Failure)
    assert (failure.ids, type(failure.error)) == (["a"], TimeoutError)


def test_request_that_is_not_kept_ends_and_its_slot_serves_the_next(
    engine: CountingEngine, run: Callable[..., RunAhead]
) -> None:
    run_ahead = run(silence=PATIENCE, max_uncollected=4)
    for name in "abcd":
        run_ahead.submit(name, [1, 2], 100, GREEDY)
    wait_until_paused(engine)
    run_ahead.keep_only("bcd")
    run_ahead.submit("next", [7, 8], 5, GREEDY)
    wait_until_paused(engine)
    run_ahead.collect(0)
    wait_until_paused(engine)
    [*_, last] = run_ahead.collect(0)

    assert isinstance(last, Step)
    assert set(last.ids) == set("bcd") | {"next"}


def test_failure_of_the_engine_ends_its_requests_and_the_next_one_works(
    engine: CountingEngine, run: Callable[..., RunAhead], llama: PreTrainedModel
) -> None:
    run_ahead = run(silence=PATIENCE)
    engine.failure = RuntimeError("broken")
    run_ahead.submit("a", [1, 2], 5, GREEDY)
    assert run_ahead.collect(PATIENCE) == [Failure(["a"], engine.failure)]

    engine.failure = None
    run_ahead.submit("b", [1, 2], 5, GREEDY)

    assert collect_all(run_ahead, "b") == reference(llama, [1, 2], 5)


def test_close_ends_the_thread(run: Callable[..., RunAhead]) -> None:
    before = threading.active_count()
    run().close()

    assert threading.active_count() == before
