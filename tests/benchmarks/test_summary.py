"""The goals in docs/performance.md are those of the pages in benchmarks/results."""

from benchmarks.summary import PAGE, with_goals

PERFORMANCE = PAGE.read_text(encoding="utf-8")


def test_the_goals_are_those_of_the_pages() -> None:
    assert with_goals(PERFORMANCE) == PERFORMANCE, "run `python -m benchmarks.summary`"


def test_a_stale_figure_is_replaced_and_nothing_else() -> None:
    stale = PERFORMANCE.replace(
        "| Memory of an open stream | at most 40 kB |", "| Memory of an open stream | at most 4 kB |"
    )

    assert stale != PERFORMANCE
    assert with_goals(stale) == PERFORMANCE
