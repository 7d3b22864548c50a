"""Draws the dashboards of deploy/grafana without Grafana: `python -m tests.deploy.draw_dashboards` (two minutes).

A real Prometheus looks at a real stack, whose callers come and go, and whose worker is killed once.
"""

import itertools
import os
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import matplotlib as mpl
import requests
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adapter.archives.archive import build_archive
from adapter.gateway import create_app
from adapter.settings import Settings
from tests.deploy.prometheus import Prometheus, running_prometheus
from tests.deploy.test_dashboards import DASHBOARDS, as_grafana_sends_it, panels
from tests.end_to_end.own_stack import running_torchserve, settings_before
from tests.fakes import serving
from tests.project import PROJECT

PICTURES = PROJECT / "docs" / "pictures"
_SECONDS = 120
_COLUMNS, _WIDTH, _HEIGHT = 3, 15, 2.6  # inches

mpl.rcParams.update(
    {"svg.hashsalt": "torchbridge", "font.size": 7, "axes.spines.top": False, "axes.spines.right": False}
)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="torchbridge-") as name:
        directory = Path(name)
        archive = build_archive(PROJECT / "models" / "tiny", "tiny", "1.0", directory / "store")
        with running_torchserve([archive], directory / "run") as torchserve:
            settings: Settings = settings_before(torchserve, [archive], "tiny")
            with (
                serving(app := create_app(settings), app.state.http_metrics) as url,
                running_prometheus(directory, [urlsplit(url).netloc]) as prometheus,
            ):
                begun_at = time.time()
                [worker] = torchserve.management.describe("tiny")[0].workers
                _use(url, worker.pid)
                for dashboard, content in DASHBOARDS.items():
                    draw(prometheus, content, begun_at, PICTURES / f"{dashboard}.svg")


def _use(url: str, worker: int) -> None:
    """More callers come in the second third; the worker dies at the begin of the last."""
    is_over = threading.Event()
    threads = [
        threading.Thread(target=_call, args=(url, number, is_over, _SECONDS / 3 if number > 2 else 0))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    time.sleep(_SECONDS * 2 / 3)
    os.kill(worker, signal.SIGKILL)
    time.sleep(_SECONDS / 3)
    is_over.set()
    for thread in threads:
        thread.join()


def _call(url: str, number: int, is_over: threading.Event, delay: float) -> None:
    is_over.wait(delay)
    for turn in itertools.count():
        if is_over.is_set():
            return
        asked: dict[str, Any] = {
            "prompt": f"Once upon a time there was a fox. {'It ran. ' * (turn % 9)}",
            "max_length": 60,
        }
        if number == 0:
            asked |= {"temperature": 0, "max_length": 8}
            is_over.wait(1)
        with suppress(requests.RequestException):
            requests.post(f"{url}/generate", json=asked, timeout=3 if number == 1 else 60)


def draw(prometheus: Prometheus, dashboard: dict[str, Any], begun_at: float, file: Path) -> None:
    shown = panels(dashboard)
    rows = -(-len(shown) // _COLUMNS)
    canvas = Figure(figsize=(_WIDTH, _HEIGHT * rows), layout="constrained")
    canvas.suptitle(dashboard["title"], x=0.01, ha="left", fontsize=11)
    cells = canvas.subplots(rows, _COLUMNS, squeeze=False).flat
    for panel, axes in itertools.zip_longest(shown, cells):
        if panel is None:
            axes.set_axis_off()
        else:
            _draw(prometheus, panel, begun_at, axes)
    canvas.patch.set_facecolor("white")
    canvas.savefig(file, format="svg", metadata={"Date": None})


def _draw(prometheus: Prometheus, panel: dict[str, Any], begun_at: float, axes: Axes) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    scale, unit = {"percentunit": (100, "%"), "bytes": (1e-6, "MB"), "reqps": (1, "a second")}.get(
        defaults["unit"],
        (
            1,
            defaults["unit"]
            .removeprefix("suffix: ")
            .replace("short", "")
            .replace("bool_yes_no", "")
            .replace("bool", ""),
        ),
    )
    for target in panel["targets"]:
        for series in prometheus.between(as_grafana_sends_it(target["expr"]), begun_at, time.time()):
            points = [(moment - begun_at, float(value) * scale) for moment, value in series["values"]]
            axes.plot(*zip(*points, strict=True), lw=1, label=_legend(target["legendFormat"], series["metric"]))
    axes.set_title(f"{panel['title']} ({unit})" if unit else panel["title"], loc="left", fontsize=8)
    axes.set_xlim(0, time.time() - begun_at)
    axes.set_ylim(bottom=0)
    if axes.lines:
        axes.legend(frameon=False, fontsize=6, loc="upper left")
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="grey")


def _legend(form: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), form)


if __name__ == "__main__":
    main()
