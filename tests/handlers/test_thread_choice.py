"""Fed with what steps would take on machines of numbers: no clock, and no thread."""

import itertools
import random
from collections.abc import Callable, Iterable

import pytest

from handlers.thread_choice import ThreadChoice, thread_counts

Seconds = Callable[[int], float]
"""A step's, by its threads."""


def quiet(threads: int) -> float:
    return {1: 0.050, 2: 0.030}[threads]


def beside_a_neighbour(threads: int) -> float:
    return {1: 0.055, 2: 0.180}[threads]


def run(choice: ThreadChoice, seconds: Seconds, num_steps: int, rows: Iterable[int] = itertools.repeat(4)) -> list[int]:
    """The threads of each step."""
    threads = []
    for _, live in zip(range(num_steps), rows, strict=False):
        threads.append(choice.threads)
        choice.took(live, seconds(choice.threads))
    return threads


def steps_until(choice: ThreadChoice, chosen: int, seconds: Seconds) -> int:
    for count in range(10_000):
        if choice.chosen == chosen:
            return count
        run(choice, seconds, 1)
    raise AssertionError(f"{chosen} threads are never chosen")


def test_what_is_best_stays_and_is_seldom_doubted() -> None:
    choice = ThreadChoice((1, 2), 2)

    threads = run(choice, quiet, 5_000)

    assert choice.chosen == 2
    assert threads.count(1) <= 50


def test_a_wrong_first_choice_is_mended_after_a_second_of_steps() -> None:
    assert steps_until(ThreadChoice((1, 2), 1), 2, quiet) * quiet(1) < 2


def test_beside_a_neighbour_a_step_has_fewer_threads_a_few_steps_later() -> None:
    choice = ThreadChoice((1, 2), 2)
    run(choice, quiet, 5_000)

    assert steps_until(choice, 1, beside_a_neighbour) < 20


def test_all_threads_come_back_when_the_neighbour_leaves() -> None:
    choice = ThreadChoice((1, 2), 2)
    run(choice, quiet, 100)
    threads = run(choice, beside_a_neighbour, 2_000)

    assert threads[-200:].count(2) <= 8
    assert steps_until(choice, 2, quiet) * quiet(1) < 20


def test_what_is_far_worse_is_tried_in_two_steps() -> None:
    choice = ThreadChoice((1, 2), 1)
    threads = run(choice, beside_a_neighbour, 100)
    first = threads.index(2)
    assert threads[first : first + 8] == [2, 2, 1, 1, 1, 1, 1, 1]


def test_a_machine_that_is_slower_for_any_number_makes_no_trial_after_the_other() -> None:
    choice = ThreadChoice((1, 2), 2)
    run(choice, quiet, 1_000)

    threads = run(choice, lambda threads: 3 * quiet(threads), 1_000)

    assert choice.chosen == 2
    assert threads.count(1) <= 40


def test_single_late_steps_change_nothing() -> None:
    choice, chance = ThreadChoice((1, 2), 2), random.Random(3)

    def now_and_then_late(threads: int) -> float:
        return quiet(threads) * (20 if chance.random() < 0.1 else 1)

    chosen = set()
    for _ in range(3_000):
        run(choice, now_and_then_late, 1)
        chosen.add(choice.chosen)

    assert chosen == {2}


def test_what_is_hardly_better_is_not_taken() -> None:
    choice = ThreadChoice((1, 2), 2)
    run(choice, lambda threads: {1: 0.029, 2: 0.030}[threads], 3_000)
    assert choice.chosen == 2


def test_more_rows_are_no_lateness() -> None:
    choice = ThreadChoice((1, 2), 2)
    run(choice, quiet, 3_000)

    threads = run(choice, lambda threads: 3 * quiet(threads), 60, rows=itertools.repeat(16))

    assert set(threads) == {2}


def test_a_trial_compares_no_steps_of_unlike_size() -> None:
    choice = ThreadChoice((1, 2), 2)
    by_rows = {4: 0.030, 64: 0.300}  # whatever the threads
    for rows in itertools.islice(itertools.cycle([4, 4, 4, 64]), 4_000):
        choice.took(rows, by_rows[rows])
    assert choice.chosen == 2


@pytest.mark.parametrize("best", [1, 4, 7, 8])
def test_it_finds_the_best_of_many(best: int) -> None:
    choice = ThreadChoice(thread_counts(8), 8)
    steps_until(choice, best, lambda threads: 0.01 * (1 + abs(threads - best)))


def test_a_look_while_idle_may_change_it_too() -> None:
    choice = ThreadChoice((1, 2), 1)
    choice.look()
    while choice.is_looking:
        run(choice, quiet, 1, rows=[0])
    assert choice.chosen == 2


def test_a_look_that_is_cut_short_changes_nothing() -> None:
    choice = ThreadChoice((1, 2), 1)
    choice.look()
    run(choice, quiet, 1, rows=[0])
    assert choice.is_looking

    assert run(choice, quiet, 2) == [2, 1]  # the first of them begins again
    assert not choice.is_looking


def test_one_core_leaves_nothing_to_choose() -> None:
    choice = ThreadChoice(thread_counts(1), 1)
    choice.look()
    assert not choice.is_open
    assert set(run(choice, lambda _: 0.03, 1_000)) == {1}


@pytest.mark.parametrize(("cores", "counts"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (12, (1, 2, 4, 8, 11, 12))])
def test_what_is_worth_a_look(cores: int, counts: tuple[int, ...]) -> None:
    assert thread_counts(cores) == counts
