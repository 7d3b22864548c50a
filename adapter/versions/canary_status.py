"""The canaries of a server: those that run, and the last one of each model that the server has watched."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field

from adapter.control.client import ControlClient, GatewayNotRunning
from adapter.control.messages import CanaryReport
from adapter.versions.canary_record import CanaryRecord, CanaryRecords, Outcome
from adapter.versions.canary_words import how_far_it_is, what_it_is
from adapter.versions.server_files import ServerFiles


class CanaryStatus(BaseModel):
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The version that is tried, or was.")
    control_version: str = Field(description="The default version, which answers the other requests.")
    what: str = Field(description="The requests that it gets, in words.")
    is_watched_by_server: bool = Field(description="Whether the server watches it; otherwise a command does.")
    began_at: AwareDatetime | None = Field(description="The time of its begin; null if a command watches it.")
    ended_at: AwareDatetime | None = Field(description="The time of its end; null if it runs.")
    outcome: Outcome | None = Field(description="What has become of it; null if it runs.")
    reason: str | None = Field(description="The outcome in words; null if it runs.")
    report: CanaryReport | None = Field(description="Its counts and limits; null if it does not run.")

    @classmethod
    def running(cls, report: CanaryReport, record: CanaryRecord | None) -> Self:
        return cls(
            model=report.model,
            version=report.version,
            control_version=report.control_version,
            what=what_it_is(report),
            is_watched_by_server=report.timeout is not None,
            began_at=record.began_at if record and not record.outcome else None,
            ended_at=None,
            outcome=None,
            reason=None,
            report=report,
        )

    @classmethod
    def over(cls, record: CanaryRecord) -> Self:
        """The status of a canary that is over. One without an end has lost its server; no other one promotes it."""
        return cls(
            **record.model_dump(exclude={"outcome", "reason"}),
            is_watched_by_server=True,
            outcome=record.outcome or Outcome.CUT_SHORT,
            reason=record.reason or "its server is gone",
            report=None,
        )


def canary_status(gateway: ControlClient, files: ServerFiles) -> list[CanaryStatus]:
    """The canaries, also of a server that does not run."""
    records = (CanaryRecords.read(files.canaries) or CanaryRecords()).canaries
    try:
        running = {report.model: report for report in gateway.canaries()}
    except GatewayNotRunning:
        running = {}
    statuses = [CanaryStatus.running(report, records.get(model)) for model, report in running.items()]
    return statuses + [CanaryStatus.over(record) for model, record in records.items() if model not in running]


def status_in_words(status: CanaryStatus, now: datetime) -> str:
    name = f"{status.model} {status.version}"
    if status.report is None:
        when = f" {_ago(status.ended_at, now)}" if status.ended_at else ""
        return f"{name}, {status.outcome}{when}: {status.reason}"
    by_whom = "by the server" if status.is_watched_by_server else "by a command"
    since = f", begun {_ago(status.began_at, now)}" if status.began_at else ""
    return f"{name}, watched {by_whom}{since}: {status.what}\n  {how_far_it_is(status.report)}"


def _ago(when: datetime, now: datetime) -> str:
    return f"{max(0, int((now - when).total_seconds() // 60))} min ago"
