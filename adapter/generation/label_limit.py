"""Keeps the number of series bounded in a process that lives through many deployments."""

from collections import OrderedDict
from collections.abc import Callable


class LabelLimit:
    """Forgets the series that were counted longest ago, if there would be more than `most`.

    Prometheus keeps what it has read, and takes a series that comes back for one that began anew.
    """

    def __init__(self, most: int, forget: Callable[[tuple[str, ...]], None]) -> None:
        self._most, self._forget = most, forget
        self._last_used: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def use(self, *labels: str) -> None:
        self._last_used[labels] = None
        self._last_used.move_to_end(labels)
        if len(self._last_used) > self._most:
            oldest, _ = self._last_used.popitem(last=False)
            self._forget(oldest)
