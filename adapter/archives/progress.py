"""How far the packing of a large model is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import TypeAlias

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

# Takes what is done and the bytes in all. The block calls what it gets with each further number of bytes.
Reporter: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]

_SHOWN_FROM_BYTES = 100_000_000


def no_progress(_what: str, _total: int) -> AbstractContextManager[Callable[[int], object]]:
    return nullcontext(lambda _: None)


def progress(*, quiet: bool) -> Reporter:
    return no_progress if quiet else progress_bar


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on the standard error, if the work is long. Without a terminal it is a line at each tenth."""
    console = Console(stderr=True)
    if total < _SHOWN_FROM_BYTES:
        yield lambda _: None
    elif not console.is_terminal:
        yield _Tenths(what, total).advance
    else:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as shown:
            yield partial(shown.advance, shown.add_task(what, total=total))


class _Tenths:
    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._done = 0

    def advance(self, num_bytes: int) -> None:
        before = self._done * 10 // self._total
        self._done += num_bytes
        if (tenths := self._done * 10 // self._total) > before:
            with suppress(OSError):  # the reader is gone
                sys.stderr.write(f"{self._what}: {tenths * 10} % of {decimal(self._total)}\n")
