"""Writes the goals of all pages in benchmarks/results into docs/performance.md: `python -m benchmarks.summary`."""

import re
from pathlib import Path

from benchmarks.report import RESULTS

PAGE = RESULTS.parents[1] / "docs" / "performance.md"
# In the order of that page. Pages without goals are linked by the text around the table.
PAGES = (
    "real_model",
    "peers_throughput",
    "peers_scaling",
    "engine",
    "prompts",
    "grammars",
    "prefix",
    "neighbour",
    "hop",
    "gateway",
    "packing",
    "cold_start",
)
_BEGIN, _END = "<!-- goals: make bench -->", "<!-- end of goals -->"
_GOALS = re.compile(r"^## Goals\n\n\|.*\n\|.*\n((?:\|.*\n)+)", re.MULTILINE)
_TAKEN = re.compile(r"^Taken on (\S+) at commit \S+ with `(make \S+)`: (.*?), Linux", re.MULTILINE)


def goals_of(page: Path) -> tuple[list[str], str]:
    """The rows of its table of goals, and when and where they were seen."""
    text = page.read_text(encoding="utf-8")
    goals, taken = _GOALS.search(text), _TAKEN.search(text)
    if goals is None or taken is None:
        raise ValueError(f"{page} has no goals, or does not say when they were measured")
    date, command, machine = taken.groups()
    rows = [f"| [`{command}`](../benchmarks/results/{page.name}) {row}" for row in goals[1].splitlines()]
    return rows, f"{date}, {machine}"


def with_goals(document: str) -> str:
    lines = ["| Command | Goal | Wanted | Seen | Reached |", "| --- | --- | --- | --- | --- |"]
    taken: dict[str, list[str]] = {}
    # A benchmark that was not run to its end has no page.
    for page in filter(Path.exists, (RESULTS / f"{name}.md" for name in PAGES)):
        rows, seen = goals_of(page)
        lines += rows
        taken.setdefault(seen, []).append(f"`{page.stem}`")
    dates = [f"- {seen}: {', '.join(pages)}" for seen, pages in sorted(taken.items())]
    table = "\n".join([_BEGIN, "", *dates, "", *lines, "", _END])
    before, rest = document.split(_BEGIN)
    return before + table + rest.split(_END)[1]


if __name__ == "__main__":
    PAGE.write_text(with_goals(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
