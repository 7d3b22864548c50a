"""The engine's thread: how far it runs ahead, when it pauses, what it forgets."""

import threading
from collections.abc import Callable

import pytest
from transformers import PreTrainedModel

from handlers.engine_news import Failure, Step
from handlers.run_ahead import RunAhead
from tests.handlers.run_ahead.counting_engine import GREEDY, CountingEngine, collect_all, reference, wait_until_full
from tests.waiting import PATIENCE, wait_until


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


def test_a_request_that_is_stopped_ends_with_the_step_that_runs_though_nobody_calls(
    engine: CountingEngine, run: Callable[..., RunAhead]
) -> None:
    stopped: list[str] = []
    engine.go_on = threading.Event()
    run_ahead = run(lambda: tuple(stopped), silence=PATIENCE)
    run_ahead.submit("a", [1, 2], 50, GREEDY)
    run_ahead.submit("b", [3, 4], 50, GREEDY)
    wait_until(lambda: engine.is_held and engine.num_running == 2)
    stopped += ["unknown", "a"]
    engine.go_on.set()
    wait_until(lambda: not engine.has_work)

    steps = run_ahead.collect(PATIENCE)
    while "b" not in steps[-1].ended:  # the engine has ended its last step, but may not have told it
        steps += run_ahead.collect(PATIENCE)
    assert [step.ids[-1] for step in steps] == ["b"] * 50
    assert sum("a" in step.ids for step in steps) == 2


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


def test_interruption_ends_the_wait(run: Callable[..., RunAhead]) -> None:
    run_ahead = run()
    run_ahead.interrupt()

    assert run_ahead.collect(PATIENCE, PATIENCE) == []


def test_close_ends_the_thread(run: Callable[..., RunAhead]) -> None:
    run_ahead = run()
    run_ahead.close()

    assert not run_ahead._thread.is_alive()
