"""The engine's thread: how far it runs ahead, when it pauses, what it forgets, how it fails."""

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.engine_news import Failure, Step
from handlers.run_ahead import RunAhead
from handlers.sampling import SamplingParameters
from tests.handlers.ended_worker import EndedWorker
from tests.waiting import PATIENCE, wait_until

GREEDY = SamplingParameters()


class CountingEngine(Engine):
    """Counts its steps, and fails when told to."""

    failure: BaseException | None = None
    failure_of_cancel: Exception | None = None
    num_steps = 0
    num_failed_steps = 0
    go_on: threading.Event | None = None
    """What every step but the first waits for."""
    is_held = False

    def step(self) -> Step | None:
        if self.go_on is not None and self.num_steps:
            self.is_held = True
            self.go_on.wait(PATIENCE / 10)
        if self.failure is not None:
            self.num_failed_steps += 1
            raise self.failure
        self.num_steps += 1
        return super().step()

    def cancel_all(self) -> list[str]:
        if self.failure_of_cancel is not None:
            raise self.failure_of_cancel
        return super().cancel_all()


@pytest.fixture
def engine(llama: PreTrainedModel) -> CountingEngine:
    return CountingEngine(llama, [], slots=4, context_length=128)


@pytest.fixture
def ended() -> EndedWorker:
    return EndedWorker()


@pytest.fixture
def run(engine: CountingEngine, ended: EndedWorker) -> Iterator[Callable[..., RunAhead]]:
    made: list[RunAhead] = []

    def make(**bounds: float) -> RunAhead:
        made.append(RunAhead(engine, end_worker=ended, **bounds))
        return made[-1]

    yield make
    for run_ahead in made:
        run_ahead.close()


def wait_until_full(run_ahead: RunAhead) -> None:
    """Until as much waits to be collected as may."""
    wait_until(lambda: len(run_ahead._news) == run_ahead._max_uncollected)


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


def test_no_step_begins_while_as_much_waits_to_be_collected_as_may(
    engine: CountingEngine, run: Callable[..., RunAhead], llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ahead = run(silence=PATIENCE, max_uncollected=8)
    uncollected: list[int] = []
    step = engine.step
    monkeypatch.setattr(engine, "step", lambda: uncollected.append(len(run_ahead._news)) or step())
    run_ahead.submit("a", [1, 2], 30, GREEDY)
    wait_until_full(run_ahead)

    assert collect_all(run_ahead, "a") == reference(llama, [1, 2], 30)
    assert max(uncollected) == 7


def test_no_step_begins_in_silence_and_the_next_call_goes_on_unchanged(
    engine: CountingEngine, run: Callable[..., RunAhead], llama: PreTrainedModel
) -> None:
    run_ahead = run(silence=0.0)
    run_ahead.submit("a", [1, 2], 30, GREEDY)
    wait_until(lambda: engine.has_work)

    assert engine.num_steps == 0
    run_ahead._silence = PATIENCE
    assert collect_all(run_ahead, "a") == reference(llama, [1, 2], 30)


def test_forgets_its_requests_when_nobody_calls_for_long(run: Callable[..., RunAhead]) -> None:
    run_ahead = run(silence=0.0, abandon=0.1)
    run_ahead.submit("a", [1, 2], 100, GREEDY)

    wait_until(lambda: any(isinstance(item, Failure) for item in run_ahead._news))
    *_, failure = run_ahead.collect(0)

    assert isinstance(failure, Failure)
    assert (failure.ids, type(failure.error)) == (["a"], TimeoutError)


def test_request_that_is_not_kept_ends_and_its_slot_serves_the_next(run: Callable[..., RunAhead]) -> None:
    run_ahead = run(silence=PATIENCE, max_uncollected=4)
    for name in "abcd":
        run_ahead.submit(name, [1, 2], 100, GREEDY)
    wait_until_full(run_ahead)
    run_ahead.keep_only("bcd")
    run_ahead.submit("next", [7, 8], 5, GREEDY)
    run_ahead.collect(0)
    wait_until_full(run_ahead)
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


def test_request_that_the_engine_refuses_ends_alone(run: Callable[..., RunAhead], llama: PreTrainedModel) -> None:
    run_ahead = run(silence=PATIENCE, max_uncollected=4)
    run_ahead.submit("good", [1, 2], 20, GREEDY)
    wait_until_full(run_ahead)
    run_ahead.submit("bad", [], 20, GREEDY)
    wait_until(lambda: len(run_ahead._news) > 4)
    *steps, failure = run_ahead.collect(PATIENCE)
    tokens = [token for step in steps for token in step.tokens] + collect_all(run_ahead, "good")

    assert isinstance(failure, Failure)
    assert (failure.ids, type(failure.error)) == (["bad"], ValueError)
    assert tokens == reference(llama, [1, 2], 20)


def test_engine_that_cannot_even_forget_its_requests_ends_the_worker(
    engine: CountingEngine, run: Callable[..., RunAhead], ended: EndedWorker
) -> None:
    engine.failure, engine.failure_of_cancel = RuntimeError("broken"), RuntimeError("beyond repair")
    run_ahead = run(silence=PATIENCE)
    run_ahead.submit("a", [1, 2], 5, GREEDY)
    run_ahead._thread.join(PATIENCE)

    assert engine.num_failed_steps == 1
    assert ended.reasons == ["the engine cannot go on: RuntimeError('beyond repair')"]


def test_failure_to_forget_abandoned_requests_ends_the_worker(
    engine: CountingEngine, run: Callable[..., RunAhead], ended: EndedWorker
) -> None:
    engine.failure_of_cancel = RuntimeError("beyond repair")
    run_ahead = run(silence=0.0, abandon=0.0)
    run_ahead.submit("a", [1, 2], 5, GREEDY)
    run_ahead._thread.join(PATIENCE)

    assert ended.reasons == ["the engine cannot go on: RuntimeError('beyond repair')"]


@pytest.mark.parametrize(
    "failure",
    [
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx"),
        SystemExit(),
    ],
    ids=repr,
)
def test_failure_that_lasts_ends_the_worker_at_once(
    engine: CountingEngine, run: Callable[..., RunAhead], ended: EndedWorker, failure: BaseException
) -> None:
    engine.failure = failure
    run_ahead = run(silence=PATIENCE)
    run_ahead.submit("a", [1, 2], 5, GREEDY)
    run_ahead._thread.join(PATIENCE)

    assert engine.num_failed_steps == 1
    assert ended.reasons == [f"the engine cannot go on: {failure!r}"]


def test_third_step_in_a_row_that_fails_ends_the_worker(
    engine: CountingEngine, run: Callable[..., RunAhead], ended: EndedWorker
) -> None:
    engine.failure = torch.OutOfMemoryError("CUDA out of memory")
    run_ahead = run(silence=PATIENCE)
    for name in "ab":
        run_ahead.submit(name, [1, 2], 5, GREEDY)
        assert run_ahead.collect(PATIENCE) == [Failure([name], engine.failure)]
    assert ended.reasons == []
    run_ahead.submit("c", [1, 2], 5, GREEDY)
    run_ahead._thread.join(PATIENCE)

    assert ended.reasons == [f"the engine cannot go on: {engine.failure!r}"]


def test_failures_with_a_good_step_between_them_do_not_end_the_worker(
    engine: CountingEngine, run: Callable[..., RunAhead], ended: EndedWorker
) -> None:
    run_ahead = run(silence=PATIENCE)
    for _ in range(4):
        engine.failure = RuntimeError("broken")
        run_ahead.submit("bad", [1, 2], 5, GREEDY)
        assert run_ahead.collect(PATIENCE) == [Failure(["bad"], engine.failure)]
        engine.failure = None
        run_ahead.submit("good", [1, 2], 5, GREEDY)
        assert len(collect_all(run_ahead, "good")) == 5

    assert ended.reasons == []


def test_step_that_does_not_end_ends_the_worker(
    engine: CountingEngine, run: Callable[..., RunAhead], ended: EndedWorker
) -> None:
    engine.go_on = threading.Event()
    run_ahead = run(silence=PATIENCE, longest_step=0.0)
    run_ahead.submit("a", [1, 2], 5, GREEDY)
    wait_until(lambda: engine.is_held)
    run_ahead.collect(0)
    reasons = list(ended.reasons)
    engine.go_on.set()

    assert reasons == ["a step of the engine has not ended in 0 seconds"]


def test_interruption_ends_the_wait(run: Callable[..., RunAhead]) -> None:
    run_ahead = run()
    run_ahead.interrupt()

    assert run_ahead.collect(PATIENCE, PATIENCE) == []


def test_close_ends_the_thread(run: Callable[..., RunAhead]) -> None:
    run_ahead = run()
    run_ahead.close()

    assert not run_ahead._thread.is_alive()


def test_work_between_steps_is_done_while_there_is_no_step_to_run(run: Callable[..., RunAhead]) -> None:
    run_ahead, threads = run(), list[str]()

    def pieces() -> Iterator[None]:
        for _ in range(3):
            threads.append(threading.current_thread().name)
            yield

    run_ahead.between_steps(pieces())

    wait_until(lambda: threads == ["engine"] * 3)


def test_a_piece_of_other_work_comes_after_each_step(run: Callable[..., RunAhead], engine: CountingEngine) -> None:
    run_ahead, steps = run(silence=PATIENCE), list[int]()
    engine.go_on = threading.Event()

    def pieces() -> Iterator[None]:
        for _ in range(3):
            steps.append(engine.num_steps)
            yield

    run_ahead.submit("0", [1, 2, 3], 20, GREEDY)
    wait_until(lambda: engine.is_held)
    run_ahead.between_steps(pieces())
    engine.go_on.set()
    collect_all(run_ahead, "0")

    assert steps == [2, 3, 4]


def test_a_step_is_collected_while_the_piece_after_it_takes_its_time(
    run: Callable[..., RunAhead], engine: CountingEngine
) -> None:
    run_ahead, collected, were_collected = run(silence=PATIENCE), threading.Event(), list[bool]()
    engine.go_on = threading.Event()

    def pieces() -> Iterator[None]:
        were_collected.append(collected.wait(PATIENCE))
        yield

    run_ahead.submit("0", [1, 2, 3], 20, GREEDY)
    wait_until(lambda: engine.is_held)
    run_ahead.collect(0)  # of the steps before
    run_ahead.between_steps(pieces())
    engine.go_on.set()
    if run_ahead.collect(PATIENCE):
        collected.set()
    wait_until(lambda: bool(were_collected))

    assert were_collected == [True]
