"""What a benchmark leaves in benchmarks/results: a page of Markdown, its plots as SVG, and the machine it ran on."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.plots import Plot
from benchmarks.rounds import Figure

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("torch", "transformers", "torchserve", "torchbridge")


@dataclass(frozen=True, slots=True)
class Table:
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def to_markdown(self) -> str:
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{table}" if self.title else table


class Compiled(NamedTuple):
    """What was seen of the same goal after `torchbridge compile`."""

    seen: str
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """One of the figures that the project sets itself: `is_reached` is said as plainly as its contrary."""

    name: str
    wanted: str
    seen: str
    is_reached: bool
    compiled: Compiled | None = None


def at_least(
    name: str, least: float, seen: Figure, compiled: Figure | None = None, *, wanted: str = "", shown: str = ".2f"
) -> Goal:
    """Of which the median is no less; `shown` is how a figure is written."""
    of_compiled = Compiled(f"{compiled:{shown}}", compiled.median >= least) if compiled is not None else None
    return Goal(name, wanted or f"at least {least:g}", f"{seen:{shown}}", seen.median >= least, of_compiled)


def goal_table(goals: Sequence[Goal]) -> Table:
    return Table(["Goal", "Wanted", "Seen", "Reached"], [_goal_row(goal) for goal in goals], "Goals")


def _goal_row(goal: Goal) -> list[str]:
    seen, reached = goal.seen, _yes_or_no(is_reached=goal.is_reached)
    if goal.compiled is not None:
        seen += f"; compiled {goal.compiled.seen}"
        reached += f"; compiled {_yes_or_no(is_reached=goal.compiled.is_reached)}"
    return [goal.name, goal.wanted, seen, reached]


def _yes_or_no(*, is_reached: bool) -> str:
    return "yes" if is_reached else "**no**"


def write_report(
    name: str,
    *,
    title: str,
    method: str,
    tables: Sequence[Table],
    plots: Sequence[Plot] = (),
    versions: Sequence[str] = (),
    command: str = "",
    directory: Path = RESULTS,
) -> Path:
    """Writes directory/name.md and what it shows, prints it, and returns its path.

    `versions` are those of peers; `command` is what it was taken with, if not `make bench-name`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    images = []
    for number, plot in enumerate(plots):
        file = directory / (f"{name}.svg" if number == 0 else f"{name}-{number + 1}.svg")
        plot.save(file)
        images.append(f"![{plot.title}]({file.name})")
    parts = [
        f"# {title}",
        method,
        *images,
        *(table.to_markdown() for table in tables),
        _machine(command or f"make bench-{name}", versions),
    ]
    path = directory / f"{name}.md"
    text = "\n\n".join(parts) + "\n"
    path.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return path


def _machine(command: str, versions: Sequence[str]) -> str:
    memory = psutil.virtual_memory().total / 2**30
    ours = [f"{package} {_version(package)}" for package in _PACKAGES]
    return (
        f"Taken on {datetime.now(UTC):%Y-%m-%d} at commit {_commit()} with `{command}`: {_processor()}, "
        f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {', '.join([*ours, *versions])}. Figures that are "
        "followed by brackets are medians of interleaved rounds with their quartiles; ratios are taken round by round."
    )


def _version(package: str) -> str:
    """Of the parts that a benchmark does without, one may not be there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Dirty where more has changed than the pages, of which each makes the next one's tree another."""
    if not (RESULTS.parents[1] / ".git").exists():
        return "unknown, in a copy without git's directory"
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", ":/", f":(top,exclude)benchmarks/{RESULTS.name}"
    )
    return _git("describe", "--always", "--exclude=*") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, cwd=RESULTS).stdout.strip()  # noqa: S603, S607


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
