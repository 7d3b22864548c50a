"""What became of each fault, a line of JSON per run: whoever makes faults may be stopped anywhere, and go on."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tests.project import PROJECT

RECORD = PROJECT / ".faults" / "runs.jsonl"


class Fate(StrEnum):
    """Of a call."""

    RIGHT = "right"
    FAILED = "failed"  # with a problem that has a code
    LOST = "lost"  # without an end: nobody can tell what became of it
    WRONG = "wrong"  # another text than without a fault


class Outcome(StrEnum):
    """Of a run."""

    HELD = "held"
    BROKEN = "broken"  # a test that failed, or a server that was not ready again
    SKIPPED = "skipped"


class Run(BaseModel):
    """case: of a test that has several. seconds: that it took. fates: of the calls during it, where there were any."""

    model_config = ConfigDict(frozen=True)

    fault: str
    case: str = ""
    outcome: Outcome
    seconds: float
    commit: str
    fates: dict[Fate, int] = {}


class Tally:
    """What the runs of one fault come to."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.fates: Counter[Fate] = Counter()
        self._cases: set[str] = set()
        self._seconds = 0.0
        for run in runs:
            self.outcomes[run.outcome] += 1
            self.fates.update(run.fates)
            self._cases.add(run.case)
            self._seconds += run.seconds

    @property
    def runs(self) -> int:
        """Without those that were skipped."""
        return self.outcomes[Outcome.HELD] + self.outcomes[Outcome.BROKEN]

    @property
    def num_cases(self) -> int:
        return len(self._cases)

    @property
    def seconds_of_one(self) -> float:
        return self._seconds / max(1, self.outcomes.total())


def add(run: Run, record: Path) -> None:
    record.parent.mkdir(exist_ok=True)
    with record.open("a") as file:
        file.write(run.model_dump_json() + "\n")


def read(record: Path) -> list[Run]:
    """Without a last line that was cut short."""
    lines = record.read_text().splitlines(keepends=True) if record.exists() else []
    return [Run.model_validate_json(line) for line in lines if line.endswith("\n")]


def tally(faults: Iterable[str], record: Path) -> dict[str, Tally]:
    runs = read(record)
    return {fault: Tally(run for run in runs if run.fault == fault) for fault in faults}
