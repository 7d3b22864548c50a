"""Pairs of requests, one on each version: in which of them the canary took longer than it may."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from adapter.generation.canary_rule import Tally
from adapter.generation.timed_attempt import Duration, TimedAttempt

Side: TypeAlias = Literal["canary", "control"]


class Pairs:
    """The canary may take `max_slowdown` times as long as the control.

    One pair follows the other, each of requests that begin after the pair before was decided. A worker that stands
    still for a second delays all that runs on it: as pairs at the same time they would be one event that counts many
    times, and no error rate would hold. Which requests make a pair never depends on how long they take.
    """

    def __init__(self, max_slowdown: float, time_of: Callable[[TimedAttempt], Duration]) -> None:
        self._max_slowdown = max_slowdown
        self._time_of = time_of
        self._open: tuple[TimedAttempt, TimedAttempt] | None = None
        self._waiting: dict[tuple[Side, int], TimedAttempt] = {}
        self.num_slower = 0
        self.num_not_slower = 0

    @property
    def tally(self) -> Tally:
        """The tally of all pairs that are decided. Those in which the canary was slower are its failures."""
        self.settle()
        return Tally(self.num_slower + self.num_not_slower, self.num_slower)

    def begin(self, attempt: TimedAttempt, side: Side, size: int) -> None:
        """Pairs `attempt`, which begins now, with the latest one on the other side whose `size` is the same."""
        self.settle()
        if self._open:
            return
        other = self._waiting.get(("control" if side == "canary" else "canary", size))
        if other is None:
            self._waiting[side, size] = attempt
        elif side == "canary":
            self.compare(attempt, other)
        else:
            self.compare(other, attempt)

    def compare(self, canary: TimedAttempt, control: TimedAttempt) -> None:
        self.settle()
        if not self._open:
            self._open = canary, control
            self._waiting.clear()

    def settle(self) -> None:
        """Counts the open pair once it is decided, and lets it go if it never can be."""
        if self._open is None:
            return
        is_slower = self._is_slower(*map(self._time_of, self._open))
        if is_slower is None and not all(attempt.is_over for attempt in self._open):
            return
        self.num_slower += is_slower is True
        self.num_not_slower += is_slower is False
        self._open = None

    def _is_slower(self, canary: Duration, control: Duration) -> bool | None:
        allowed = self._max_slowdown * control.seconds
        if control.is_whole and canary.seconds > allowed:
            return True
        if canary.is_whole and canary.seconds <= allowed:
            return False
        return None
