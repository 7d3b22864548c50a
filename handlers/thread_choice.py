"""How many threads a step gets, by what steps took: looked at again while serving, since neighbours come and go.

More is not always faster. OpenMP's threads wait for each other at the end of every operation: where another process
has one of the cores, all wait for the thread that was put aside.
"""

import statistics
from collections import deque
from collections.abc import Sequence

# A trial takes steps with another number of threads and with the chosen one, in turns, so that what changes meanwhile
# changes for both; the first step after a change pays for it. Of each turn the faster step counts.
_TURNS, _STEPS_A_TURN = 4, 2
# The other one must be better than noise; one that is so much worse in its first turn gets no second one.
_WORTH_IT, _HOPELESS = 0.9, 1.5
# Steps are late when the median of the last few is this many times the usual one.
_LATE, _FEW, _MANY = 1.5, 5, 64
# Seconds of steps from one trial to the next: one that changes nothing doubles them, one that does halves them. A trial
# where the other number of threads waits for a neighbour costs two steps of five times the length.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 16.0
# Steps are alike when their rows are not more or fewer than by this factor.
_ALIKE = 1.4


def thread_counts(num_cores: int) -> tuple[int, ...]:
    """Those worth a look: one less than all leaves a core to a neighbour."""
    return tuple(
        sorted({*(count for count in (1, 2, 4, 8, 16, 32, num_cores - 1) if 0 < count < num_cores), num_cores})
    )


class ThreadChoice:
    """Chooses among `counts`, which ascend; `chosen` is the one to begin with.

    `threads` is how many the next step shall have. All of it is counted in steps and their seconds: it knows no clock.
    """

    def __init__(self, counts: Sequence[int], chosen: int) -> None:
        self._counts, self._chosen = tuple(counts), chosen
        self._recent: deque[float] = deque(maxlen=_MANY)  # seconds of steps of like size with the chosen number
        self._rows = 0  # of the first of them
        self._trial: _Trial | None = None
        self._pause, self._since_trial = _SHORTEST_PAUSE, 0.0
        self._is_next_fewer = True

    @property
    def threads(self) -> int:
        return self._chosen if self._trial is None else self._trial.threads

    @property
    def chosen(self) -> int:
        return self._chosen

    @property
    def is_open(self) -> bool:
        """Whether there is anything to choose."""
        return len(self._counts) > 1

    @property
    def is_looking(self) -> bool:
        """Whether a trial runs whose steps have 0 rows."""
        return self._trial is not None and self._rows == 0

    def took(self, rows: int, seconds: float) -> None:
        """A step of `rows` rows and no prompt took this long, with `threads` threads."""
        if not self._rows / _ALIKE <= rows <= self._rows * _ALIKE:
            self._begin_again(rows)
        if self._trial is not None:
            self._try(self._trial, seconds)
            return
        self._recent.append(seconds)
        self._since_trial += seconds
        are_late = self._are_late()
        if self._since_trial >= (_SHORTEST_PAUSE if are_late else self._pause):
            self._begin_trial(fewer=True if are_late else None)

    def look(self) -> None:
        """Begins a trial whose steps have 0 rows: some work that stands for a step, since there is none."""
        self._begin_again(0)
        self._begin_trial()

    def end_look(self) -> None:
        """Ends it without a result."""
        self._begin_again(0)

    def _begin_again(self, rows: int) -> None:
        """What was before tells nothing of steps of so many rows."""
        if self._trial is not None:
            self._trial, self._since_trial = None, 0.0
        self._rows = rows
        self._recent.clear()

    def _begin_trial(self, *, fewer: bool | None = None) -> None:
        """Tries the next number below or above; in turns if nothing is said."""
        if not self.is_open:
            return
        if fewer is None:
            fewer, self._is_next_fewer = self._is_next_fewer, not self._is_next_fewer
        place = self._counts.index(self._chosen)
        other = place - 1 if fewer else place + 1
        if not 0 <= other < len(self._counts):
            other = place + 1 if fewer else place - 1
        self._trial = _Trial(self._counts[other], self._chosen)

    def _are_late(self) -> bool:
        if len(self._recent) < 3 * _FEW:
            return False
        recent = list(self._recent)
        return statistics.median(recent[-_FEW:]) > _LATE * statistics.median(recent[:-_FEW])

    def _try(self, trial: "_Trial", seconds: float) -> None:
        trial.took(seconds)
        if not trial.is_over:
            return
        self._trial, self._since_trial = None, 0.0
        self._recent.clear()  # the usual time is that of now
        if trial.is_won:
            self._chosen, self._pause = trial.other, max(self._pause / 2, _SHORTEST_PAUSE)
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)


class _Trial:
    def __init__(self, other: int, chosen: int) -> None:
        self.other, self._turn_of = other, (other, chosen) * (_TURNS // 2)
        self._seconds: list[float] = []

    @property
    def threads(self) -> int:
        return self._turn_of[len(self._seconds) // _STEPS_A_TURN]

    @property
    def is_over(self) -> bool:
        num_steps = len(self._seconds)
        is_first_pair = num_steps == 2 * _STEPS_A_TURN
        return num_steps == _TURNS * _STEPS_A_TURN or (is_first_pair and self._ratio > _HOPELESS)

    @property
    def is_won(self) -> bool:
        return self._ratio < _WORTH_IT

    @property
    def _ratio(self) -> float:
        """The other number's seconds over those of the chosen one, in whole pairs of turns."""
        turns = [min(self._seconds[at : at + _STEPS_A_TURN]) for at in range(0, len(self._seconds), _STEPS_A_TURN)]
        return sum(turns[::2]) / sum(turns[1::2])

    def took(self, seconds: float) -> None:
        self._seconds.append(seconds)
