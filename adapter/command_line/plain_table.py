"""A table of plain text on the standard output, each line whole: rich would take longer than all that `status` does."""

from collections.abc import Sequence

from adapter.process.background_output import say

_GAP = "  "


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """The first row has the names of the columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say(_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
