"""The two kinds of plot that a benchmark needs: bars, and lines over a load that doubles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benchmarks.rounds import Figure

mpl.rcParams.update({"svg.hashsalt": "torchbridge", "font.family": "sans-serif", "axes.spines.top": False})
mpl.rcParams.update({"axes.spines.right": False, "svg.fonttype": "none"})

_OURS, _THEIRS = "#2563eb", "#94a3b8"


class Plot(Protocol):
    @property
    def title(self) -> str: ...

    def save(self, path: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar for each name; those of `ours` stand out."""

    title: str
    unit: str
    figures: Mapping[str, Figure]
    ours: str = "torchbridge"

    def save(self, path: Path) -> None:
        canvas = Canvas(figsize=(7, 0.9 + 0.42 * len(self.figures)), layout="constrained")
        axes: Axes = canvas.subplots()
        names = list(self.figures)[::-1]
        medians = [self.figures[name].median for name in names]
        quartiles = [self.figures[name].spread for name in names]
        errors = [
            [median - low for median, (low, _) in zip(medians, quartiles, strict=True)],
            [high - median for median, (_, high) in zip(medians, quartiles, strict=True)],
        ]
        colours = [_OURS if name.startswith(self.ours) else _THEIRS for name in names]
        bars = axes.barh(names, medians, xerr=errors, color=colours, error_kw={"lw": 1})
        axes.bar_label(bars, labels=[f"{median:.4g}" for median in medians], padding=4)
        axes.set_xlabel(self.unit)
        axes.set_title(self.title, loc="left")
        _write(canvas, path)


@dataclass(frozen=True, slots=True)
class Lines:
    """One line for each name, over a load on a logarithmic scale. Medians, with the quartiles as a band."""

    title: str
    load: str
    unit: str
    loads: Sequence[float]
    lines: Mapping[str, Sequence[Figure]]
    ours: str = "torchbridge"

    def save(self, path: Path) -> None:
        canvas = Canvas(figsize=(7, 4), layout="constrained")
        axes: Axes = canvas.subplots()
        for name, figures in self.lines.items():
            is_ours = name.startswith(self.ours)
            loads = self.loads[: len(figures)]
            [line] = axes.plot(
                loads, [figure.median for figure in figures], marker="o", label=name, lw=2.5 if is_ours else 1.2
            )
            low, high = zip(*(figure.spread for figure in figures), strict=True)
            axes.fill_between(loads, low, high, color=line.get_color(), alpha=0.15, lw=0)
        axes.set_xscale("log", base=2)
        axes.set_xticks(self.loads, [f"{load:g}" for load in self.loads])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(self.load)
        axes.set_ylabel(self.unit)
        axes.set_title(self.title, loc="left")
        axes.legend(frameon=False)
        _write(canvas, path)


def _write(canvas: Canvas, path: Path) -> None:
    # White and dark pages alike; no date, so that the same figures give the same file.
    canvas.patch.set_facecolor("white")
    canvas.savefig(path, format="svg", metadata={"Date": None})
