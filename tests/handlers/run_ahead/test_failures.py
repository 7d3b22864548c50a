"""Which failures the engine's thread survives, and which end the worker."""

import threading
from collections.abc import Callable
from operator import attrgetter
from types import SimpleNamespace

import pytest
import torch
from transformers import PreTrainedModel

from handlers.engine_news import Failure, Step
from handlers.run_ahead import RunAhead
from tests.handlers.ended_worker import EndedWorker
from tests.handlers.run_ahead.counting_engine import GREEDY, CountingEngine, collect_all, reference, wait_until_full
from tests.waiting import PATIENCE, wait_until


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


@pytest.mark.parametrize("place", ["engine._rows_changed", "engine._rows.clear", "run_ahead.counts.add"])
def test_failure_at_the_end_of_a_request_ends_it_too(
    engine: CountingEngine, run: Callable[..., RunAhead], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It runs no more, and nobody has heard yet that it has ended."""
    run_ahead, failure = run(silence=PATIENCE), RuntimeError("broken")
    path, _, name = place.rpartition(".")
    owner = attrgetter(path)(SimpleNamespace(engine=engine, run_ahead=run_ahead))
    healthy = getattr(owner, name)

    def fail_once(*_: object) -> None:
        monkeypatch.setattr(owner, name, healthy)
        raise failure

    remove = engine._remove

    def remove_and_fail(rows: list[int]) -> None:
        if rows:
            monkeypatch.setattr(engine, "_remove", remove)
            monkeypatch.setattr(owner, name, fail_once)
        remove(rows)

    engine.go_on = threading.Event()  # until both are there
    run_ahead.submit("short", [1, 2], 3, GREEDY)
    run_ahead.submit("long", [1, 2, 3], 20, GREEDY)
    monkeypatch.setattr(engine, "_remove", remove_and_fail)
    engine.go_on.set()
    news: list[Step | Failure] = []
    wait_until(lambda: any(isinstance(item, Failure) for item in news) or bool(news.extend(run_ahead.collect(0.01))))

    assert not any(step.ended for step in news[:-1])
    assert (sorted(news[-1].ids), news[-1].error) == (["long", "short"], failure)
    run_ahead.submit("next", [1, 2], 5, GREEDY)
    assert len(collect_all(run_ahead, "next")) == 5


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


def test_turns_without_a_step_are_no_good_steps_between_failures(
    engine: CountingEngine, run: Callable[..., RunAhead], ended: EndedWorker
) -> None:
    """As while the engine is idle: what is broken may be so for good, however rarely somebody asks."""
    engine.failure = RuntimeError("could not create a primitive")
    run_ahead, turns = run(silence=PATIENCE), list[str]()
    for name in "abc":
        run_ahead.submit(name, [1, 2], 5, GREEDY)
        wait_until(lambda: run_ahead.collect(0) or ended.reasons)
        run_ahead.between_steps(iter([None]))
        run_ahead.between_steps(turns.append(each) for each in [name])
        wait_until(lambda name=name: name in turns or ended.reasons)

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
