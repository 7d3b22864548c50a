"""What a command is doing: on a terminal a spinner and the seconds so far, elsewhere plain lines, or nothing at all."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from adapter.process.background_output import notice

# For work that takes longer than a moment: the log of a CI job shows that it goes on.
_SECONDS_BEFORE_A_LINE, _SECONDS_BETWEEN_LINES = 2.0, 15.0


class Stages:
    """The stages of a start, on the standard error. Elsewhere than on a terminal each is a line when it begins."""

    def __init__(self) -> None:
        self._until_the_end = ExitStack()
        self._report: Callable[[str], None] = lambda stage: notice(f"{stage} ...")

    def __enter__(self) -> Self:
        console = Console(stderr=True, highlight=False)
        if console.is_terminal:
            self._report = self._until_the_end.enter_context(_spinner(console, ""))
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def report(self, stage: str) -> None:
        self._report(stage)

    def end(self) -> None:
        """Ends the spinner: later reports, as after a crash, are lines."""
        self._until_the_end.close()
        self._report = lambda stage: notice(f"{stage} ...")


def reporter(*, quiet: bool) -> Callable[[str], None]:
    """Says each stage in a line, on the standard error."""
    return _say_nothing if quiet else notice


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Shows on the standard error that `what` goes on, or what is reported later."""
    if quiet:
        yield _say_nothing
        return
    console = Console(stderr=True, highlight=False)
    with _spinner(console, what) if console.is_terminal else _plain_lines(what) as report:
        yield report


def _say_nothing(_stage: str) -> None:
    pass


@contextmanager
def _spinner(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda stage: progress.reset(task, description=stage)


@contextmanager
def _plain_lines(what: str) -> Iterator[Callable[[str], None]]:
    lines = _PlainLines(what)
    thread = threading.Thread(target=lines.write, name="plain lines", daemon=True)
    thread.start()
    try:
        yield lines.report
    finally:
        lines.ended.set()
        thread.join()


class _PlainLines:
    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self.ended = threading.Event()

    def report(self, what: str) -> None:
        self._what, self._began = what, time.monotonic()

    def write(self) -> None:
        seconds = _SECONDS_BEFORE_A_LINE
        while not self.ended.wait(seconds):
            with suppress(OSError):  # the reader is gone
                typer.echo(f"{self._what}: {time.monotonic() - self._began:.0f} s so far", err=True)
            seconds = _SECONDS_BETWEEN_LINES
