"""Server-Timing (https://www.w3.org/TR/server-timing/): where the time of an answer went, as far as its head knows."""

import time
from collections.abc import Iterable

from adapter.timeline import Timeline

_MILLISECONDS = 1_000


def server_timing(timeline: Timeline, received_at: float) -> str:
    """The phases that are over. `received_at` is time.monotonic(), as in the timeline; the header has milliseconds.

    Several phases of one name, such as attempts, are added up.
    """
    seconds: dict[str, float] = {}
    for name, begin, end in _ended(timeline):
        seconds[name] = seconds.get(name, 0) + end - begin
    seconds["total"] = time.monotonic() - received_at
    notes: dict[str, str] = {phase.name: phase.note for phase in timeline.phases if phase.note}
    return ", ".join(_metric(name, duration, notes.get(name)) for name, duration in seconds.items())


def _ended(timeline: Timeline) -> Iterable[tuple[str, float, float]]:
    for phase in timeline.phases:
        for each in tuple(phase.parts()) or (phase,):
            if each.end is not None:
                yield each.name, each.begin, each.end


def _metric(name: str, seconds: float, note: str | None) -> str:
    """`note` is a word of ours, and needs no quotes."""
    duration = f"{name};dur={seconds * _MILLISECONDS:.1f}"
    return f"{duration};desc={note}" if note else duration
