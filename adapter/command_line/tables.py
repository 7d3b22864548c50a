"""A table on the standard output, with nothing cut off: a terminal wraps a line, and a pipe has no width."""

from rich.console import Console, RenderableType

_WIDER_THAN_ANY = 10_000  # characters; a line ends where its table ends


def print_table(table: RenderableType) -> None:
    Console(width=_WIDER_THAN_ANY).print(table)
