"""What the engine's thread does beside the steps."""

import threading
from collections.abc import Callable, Iterator

from handlers.run_ahead import RunAhead
from tests.handlers.run_ahead.counting_engine import GREEDY, CountingEngine, collect_all
from tests.waiting import PATIENCE, wait_until


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
