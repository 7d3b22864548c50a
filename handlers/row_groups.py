"""Chooses which neighbouring rows of the cache a step computes together.

A row is read as far as the longest one of its group. So few groups read much that nobody holds, and each has a price.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

# Rows of a group that was cut: what there is to choose grows with their number, and it is chosen anew at each end.
_MOST_ROWS = 64


class RowGroup(NamedTuple):
    """Rows start … stop - 1, of which positions 0 … length - 1 are read."""

    start: int
    stop: int
    length: int


def cut_into_groups(lengths: Sequence[int], cost: float) -> list[RowGroup]:
    """The cheapest groups that have all rows, in ascending order; of many rows that are unlike, none has more than 64.

    lengths: positions to be read of rows 0, 1, …
    cost: of each group besides what it reads, in positions of one row that could be read meanwhile.
    """
    if lengths and len(lengths) * max(lengths) - sum(lengths) <= cost:
        return [RowGroup(0, len(lengths), max(lengths))]  # a second one would cost more than it could save
    starts = _cheapest_starts(lengths, cost)
    groups = []
    stop = len(lengths)
    while stop:
        start = starts[stop]
        groups.append(RowGroup(start, stop, max(lengths[start:stop])))
        stop = start
    return groups[::-1]


def _cheapest_starts(lengths: Sequence[int], cost: float) -> list[int]:
    """Where the last group begins when the first 0, 1, … rows are cut at the least cost."""
    least, starts = [0.0], [0]  # least: what is read for nobody, and the price of the groups
    for stop in range(1, len(lengths) + 1):
        best, best_start, longest, held = math.inf, 0, 0, 0
        for start in range(stop - 1, max(-1, stop - 1 - _MOST_ROWS), -1):
            longest = max(longest, lengths[start])
            held += lengths[start]
            waste = cost + (stop - start) * longest - held
            if waste > best:
                break  # a group that begins earlier wastes no less
            if least[start] + waste <= best:  # of equals the one with the fewest groups
                best, best_start = least[start] + waste, start
        least.append(best)
        starts.append(best_start)
    return starts
