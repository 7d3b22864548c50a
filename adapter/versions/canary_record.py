"""The outcomes of the canaries that a server has watched: the last one of each model."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from adapter.control.messages import CanaryReport
from adapter.durable.record import DurableRecord
from adapter.versions.canary_words import what_it_is
from adapter.versions.errors import VersionError


class Outcome(StrEnum):
    PROMOTED = "promoted"
    WOULD_BE_PROMOTED = "would be promoted"  # a shadow, or one whose verdict others carry out
    GIVEN_UP = "given up"
    UNDECIDED = "undecided"  # within its time
    CUT_SHORT = "cut short"  # by who aborted it, by another default version, or by the server's end


class CanaryRecord(BaseModel):
    """Without an `outcome` it runs, or did when the server was killed."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str
    version: str
    control_version: str
    what: str = Field(description="Its share, in words.")
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    outcome: Outcome | None = None
    reason: str | None = Field(default=None, description="The outcome in words.")

    @classmethod
    def begun(cls, report: CanaryReport) -> Self:
        return cls(
            model=report.model,
            version=report.version,
            control_version=report.control_version,
            what=what_it_is(report),
            began_at=datetime.now(UTC),
        )

    def ended(self, outcome: Outcome, reason: str) -> Self:
        return self.model_copy(update={"ended_at": datetime.now(UTC), "outcome": outcome, "reason": reason})


class CanaryRecords(DurableRecord):
    model_config = ConfigDict(extra="forbid", frozen=True)

    canaries: dict[str, CanaryRecord] = Field(default_factory=dict)

    @classmethod
    def damaged(cls, path: Path) -> VersionError:
        return VersionError(f"{path} is damaged. It only tells of canaries that have ended: delete it.")

    def with_record(self, record: CanaryRecord) -> Self:
        return self.model_copy(update={"canaries": {**self.canaries, record.model: record}})

    def all_ended(self, reason: str) -> Self:
        """All of them with an end: those that had none are cut short."""
        ended = {
            model: record if record.outcome else record.ended(Outcome.CUT_SHORT, reason)
            for model, record in self.canaries.items()
        }
        return self.model_copy(update={"canaries": ended})
