"""How far a rollout is, on the disk before each step: one JSON object a line, synced."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field

from adapter.control.rollout_messages import HostReport
from adapter.durable.json_lines import JournalLine, append_line, read_lines
from adapter.durable.lock import exclusive
from adapter.rollout.errors import RolloutRefused
from adapter.versions.desired_state import DesiredState


class Stage(StrEnum):
    """What is being done to all hosts, or was done."""

    ROLLING_OUT = "rolling out"
    DONE = "done"
    ABORTING = "aborting"
    ABORTED = "aborted"
    FINISHING = "finishing"
    FINISHED = "finished"


class Step(StrEnum):
    """Of one host, in the stage that it was written in."""

    ORDERED = "ordered"
    DONE = "done"
    FAILED = "failed"


class Begun(BaseModel):
    hosts: tuple[str, ...] = Field(description="The hosts, in their order.")
    desired: DesiredState = Field(description="What the file says.")
    before: dict[str, HostReport] = Field(description="What each host served before, to which an abort goes back.")


class _Line(JournalLine):
    begin: Begun | None = None
    stage: Stage | None = None
    host: str | None = None
    step: Step | None = None
    reason: str | None = None


class HostProgress(BaseModel):
    stage: Stage = Field(description="What was being done to all hosts then.")
    step: Step = Field(description="What has become of it on this host.")
    at: AwareDatetime = Field(description="The time of that.")
    reason: str | None = Field(default=None, description="Why it has failed; null if it has not.")


class Rollout(BaseModel):
    """What the journal says of the last one."""

    id: str = Field(description="The id of the rollout.")
    begun_at: AwareDatetime = Field(description="The time of its begin.")
    begun: Begun = Field(description="What was to be done, and what was there before.")
    stage: Stage = Field(default=Stage.ROLLING_OUT, description="What is being done to all hosts, or was done last.")
    hosts: dict[str, HostProgress] = Field(default={}, description="What was done last on each host that was changed.")

    @property
    def is_open(self) -> bool:
        return self.stage in {Stage.ROLLING_OUT, Stage.ABORTING, Stage.FINISHING}

    def is_done(self, host: str) -> bool:
        """In this stage."""
        progress = self.hosts.get(host)
        return progress is not None and (progress.stage, progress.step) == (self.stage, Step.DONE)

    def with_line(self, line: _Line) -> Self:
        if line.stage is not None:
            return self.model_copy(update={"stage": line.stage})
        if line.host is None or line.step is None:
            return self
        progress = HostProgress(stage=self.stage, step=line.step, at=line.at, reason=line.reason)
        return self.model_copy(update={"hosts": {**self.hosts, line.host: progress}})


class RolloutJournal:
    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second command from the same rollout. Raises RolloutRefused."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_taken = RolloutRefused(f"Another command is at this rollout ({self._path}).")
        with exclusive(self._path.with_suffix(".lock"), is_taken):
            yield

    def last(self) -> Rollout | None:
        rollout: Rollout | None = None
        for line in read_lines(self._path, _Line):
            if line.begin is not None:
                rollout = Rollout(id=line.id, begun_at=line.at, begun=line.begin)
            elif rollout is not None and line.id == rollout.id:
                rollout = rollout.with_line(line)
        return rollout

    def begin(self, rollout_id: str, begun: Begun) -> Rollout:
        line = _Line(id=rollout_id, begin=begun)
        append_line(self._path, line)
        return Rollout(id=rollout_id, begun_at=line.at, begun=begun)

    def enter(self, rollout: Rollout, stage: Stage) -> Rollout:
        return self._write(rollout, _Line(id=rollout.id, stage=stage))

    def step(self, rollout: Rollout, host: str, step: Step, reason: str | None = None) -> Rollout:
        return self._write(rollout, _Line(id=rollout.id, host=host, step=step, reason=reason))

    def _write(self, rollout: Rollout, line: _Line) -> Rollout:
        append_line(self._path, line)
        return rollout.with_line(line)
