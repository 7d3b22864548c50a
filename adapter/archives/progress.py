"""How far the packing of a large model is."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

# What is done and over how many bytes, to a block in which each further number of bytes is told.
Reporter: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]

_SHOWN_FROM_BYTES = 100_000_000


def no_progress(_what: str, _total: int) -> AbstractContextManager[Callable[[int], object]]:
    return nullcontext(lambda _: None)


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """On the standard error, where it is a terminal and the work more than a moment's."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    hidden = total < _SHOWN_FROM_BYTES
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden) as progress:
        yield partial(progress.advance, progress.add_task(what, total=total))
